#pragma once

#include <QStringList>

#include "report/run_spec.h"

/// Changes of single layers in a run spec, as the tree and the rank guide make them.
namespace qw::overrides {

/// These layers get the fields set in @p change (its pattern is ignored), each under a pattern of
/// its own; other settings of theirs stay.
RunSpec forLayers(RunSpec spec, const QStringList& layers, const LayerOverride& change);
/// All layers whose name ends like that of @p layer ("up_proj"); earlier settings of the same
/// fields that match only them are dropped.
RunSpec forKind(RunSpec spec, const QString& layer, const LayerOverride& change);
/// All layers: the spec's own rank, and no layer has another.
RunSpec rankForAll(RunSpec spec, std::int64_t rank);
/// "layers.0.mlp.up_proj: 8 bits, rank 0": a pattern that means one layer as its name.
QString title(const LayerOverride& entry);
/// No layer differs.
RunSpec none(RunSpec spec);

} // namespace qw::overrides

#pragma once

#include <functional>
#include <stdexcept>
#include <string>

#include <QAction>
#include <QListWidget>

#include "engine_export.h"
#include "support/gui_fixture.h"

namespace qw::test {

/// Opens the bundled model and has @p start begin a small run of it, which is in view then.
/// @throws if it takes too long
inline void makeRunToExport(GuiFixture& gui, const std::function<void()>& start)
{
    const auto await = [](const char* what, const std::function<bool()>& there) {
        if (!QTest::qWaitFor(there, kPatience)) {
            throw std::runtime_error(std::string("waited too long for ") + what);
        }
    };
    const AppState& state = gui.window->state();
    gui.openDemo();
    await("the methods", [&] { return state.facts().has_value(); });
    RunSpec spec;
    spec.model = "demo";
    spec.weight.groupSize = 32;
    spec.weight.sym = true;
    gui.window->state().setDraft(spec);
    await("the draft", [&] { return gui.find<QAction>("enqueueRunAction")->isEnabled(); });
    start();
    await("the run", [&] { return state.runInView().has_value() && state.runs().size() == 1; });
}

/// The targets that the export dialog shows, all of them. @throws if it takes too long
inline QListWidget* exportTargetList(const GuiFixture& gui)
{
    auto* list = gui.find<QListWidget>("exportTargetList");
    const auto all = static_cast<int>(exportTargets().size());
    if (!QTest::qWaitFor([&] { return list->count() == all; }, kPatience)) {
        throw std::runtime_error("the targets of an export are not there");
    }
    return list;
}

} // namespace qw::test

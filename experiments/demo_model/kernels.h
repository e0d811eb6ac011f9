// Row kernels of the demo trainer that ATen has no fused form of. All buffers are contiguous
// float32.
#pragma once

#include <cstdint>

namespace qw::demo {

/// RMS norm of `rows` rows of `width`: y = x / sqrt(mean(x^2) + eps) * weight; keeps 1/sqrt(...) in
/// inverse.
void rmsNorm(const float* x, const float* weight, float* y, float* inverse, int64_t rows,
             int64_t width, float eps);

/// Gradient of rmsNorm: adds to dx [rows, width] and to dweight [width].
void rmsNormBackward(const float* dy, const float* x, const float* weight, const float* inverse,
                     float* dx, float* dweight, int64_t rows, int64_t width);

/// SwiGLU: from [rows, 2*width] (gate, up) to silu(gate)*up in [rows, width].
void swiGlu(const float* gateUp, float* y, int64_t rows, int64_t width);

/// Gradient of swiGlu; overwrites gateUp with its gradient.
void swiGluBackward(const float* dy, float* gateUp, int64_t rows, int64_t width);

/// Head geometry of one batch; a query head h belongs to the key/value head h / group.
struct HeadShape {
    int64_t batch, tokens, kvHeads, group, width;
};

/// Rotary tables cos and sin, [tokens, width/2] each, in the rotate-half convention.
void rotaryTables(float* cosine, float* sine, int64_t tokens, int64_t width, double theta);

/// Splits qkv [batch*tokens, (kvHeads*group + 2*kvHeads)*width], rotates queries and keys, scales
/// the queries by width^-1/2. q is [batch*kvHeads, group*tokens, width]; k, v
/// [batch*kvHeads, tokens, width].
void splitHeads(const float* qkv, const float* cosine, const float* sine, float* q, float* k,
                float* v, const HeadShape& s);

/// Gradient of splitHeads: writes dqkv.
void splitHeadsBackward(const float* dq, const float* dk, const float* dv, const float* cosine,
                        const float* sine, float* dqkv, const HeadShape& s);

/// Copies [batch*kvHeads, group*tokens, width] to [batch*tokens, heads*width] or back.
void mergeHeads(const float* split, float* merged, const HeadShape& s);
void unmergeHeads(const float* merged, float* split, const HeadShape& s);

/// Causal softmax in place over scores [rows, tokens]; row r is the query of position r % tokens.
void causalSoftmax(float* scores, int64_t rows, int64_t tokens);

/// ds = p * (dp - sum(dp * p)) in place over dp; entries above the diagonal become zero.
void causalSoftmaxBackward(const float* p, float* dp, int64_t rows, int64_t tokens);

/// Cross entropy of rows of logits [rows, classes]; returns the sum of the losses in nats. When
/// scale > 0, overwrites the logits with scale * (softmax - onehot).
double crossEntropy(float* logits, const int64_t* targets, int64_t rows, int64_t classes,
                    float scale);

/// One AdamW step with decoupled decay over `count` values; g is multiplied by gradientScale first.
struct AdamStep {
    float rate, beta1, beta2, eps, decay, gradientScale, correction1, correction2;
};
void adamW(float* w, float* m, float* v, const float* g, int64_t count, const AdamStep& s);

/// Sum of squares in float64.
double sumOfSquares(const float* x, int64_t count);

} // namespace qw::demo

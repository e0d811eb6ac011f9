#include "support/tensor_pretend_gpu.h"

#include <atomic>
#include <cstdlib>

#include <ATen/NativeFunctions.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_copy_from_and_resize.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

namespace qw::test {

namespace {
/// Added to addresses: what results is no address at all on x86-64 and the kernel's on AArch64.
constexpr std::uintptr_t kAway = std::uintptr_t{1} << 55;

const at::Device kGpu(at::kCUDA, 0);
std::atomic<std::int64_t> waits = 0;

c10::Storage makeStorage(std::size_t bytes)
{
    void* memory = bytes > 0 ? std::calloc(bytes, 1) : nullptr;
    void* address = memory != nullptr ? static_cast<char*>(memory) + kAway : nullptr;
    return c10::Storage(c10::make_intrusive<c10::StorageImpl>(
        c10::StorageImpl::use_byte_size_t(), bytes, at::DataPtr(address, memory, &std::free, kGpu),
        nullptr, false));
}

/// The same memory as a tensor of the host.
at::Tensor onHost(const at::Tensor& x)
{
    if (x.is_cpu()) {
        return x;
    }
    void* memory = x.numel() > 0 ? static_cast<char*>(x.data_ptr()) - kAway : nullptr;
    return at::from_blob(memory, x.sizes(), x.strides(), x.options().device(at::kCPU));
}

std::size_t bytesOf(at::IntArrayRef sizes, at::IntArrayRef strides, caffe2::TypeMeta type)
{
    std::int64_t last = 1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] == 0) {
            return 0;
        }
        last += (sizes[i] - 1) * strides[i];
    }
    return static_cast<std::size_t>(last) * type.itemsize();
}

std::vector<std::int64_t> denseStrides(at::IntArrayRef sizes)
{
    std::vector<std::int64_t> strides(sizes.size());
    std::int64_t next = 1;
    for (std::size_t i = sizes.size(); i-- > 0;) {
        strides[i] = next;
        next *= std::max<std::int64_t>(sizes[i], 1);
    }
    return strides;
}

// --- the operations that a device must have of its own -------------------------------------------

at::Tensor emptyStrided(at::IntArrayRef sizes, at::IntArrayRef strides,
                        c10::optional<at::ScalarType> type, c10::optional<at::Layout> /*layout*/,
                        c10::optional<at::Device> /*device*/, c10::optional<bool> /*pinned*/)
{
    const caffe2::TypeMeta meta = at::scalarTypeToTypeMeta(type.value_or(at::kFloat));
    at::Tensor made =
        at::detail::make_tensor<at::TensorImpl>(makeStorage(bytesOf(sizes, strides, meta)),
                                                at::DispatchKeySet(at::DispatchKey::CUDA), meta);
    made.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides);
    return made;
}

at::Tensor empty(at::IntArrayRef sizes, c10::optional<at::ScalarType> type,
                 c10::optional<at::Layout> layout, c10::optional<at::Device> device,
                 c10::optional<bool> pinned, c10::optional<at::MemoryFormat> /*format*/)
{
    return emptyStrided(sizes, denseStrides(sizes), type, layout, device, pinned);
}

const at::Tensor& resize(const at::Tensor& self, at::IntArrayRef sizes,
                         c10::optional<at::MemoryFormat> /*format*/)
{
    at::TensorImpl* impl = self.unsafeGetTensorImpl();
    const std::vector<std::int64_t> strides = denseStrides(sizes);
    const std::size_t bytes = bytesOf(sizes, strides, self.dtype());
    if (bytes > self.storage().nbytes()) {
        impl->set_storage_keep_dtype(makeStorage(bytes));
    }
    impl->set_sizes_and_strides(sizes, strides);
    return self;
}

at::Tensor& copy(at::Tensor& self, const at::Tensor& source, bool /*nonBlocking*/)
{
    waits += self.is_cpu() ? 1 : 0;
    onHost(self).copy_(onHost(source));
    return self;
}

at::Tensor copyAndResize(const at::Tensor& source, const at::Tensor& target)
{
    target.resize_(source.sizes());
    return const_cast<at::Tensor&>(target).copy_(source);
}

at::Scalar value(const at::Tensor& self)
{
    ++waits;
    return onHost(self).item();
}

/// All others: as a GPU's kernels, on tensors of the device only.
void compute(const c10::OperatorHandle& op, torch::jit::Stack* stack)
{
    const std::size_t arguments = op.schema().arguments().size();
    const auto require = [&](const at::Tensor& x) {
        TORCH_CHECK(!x.defined() || x.is_cuda() || x.dim() == 0, op.operator_name(),
                    ": a tensor of the host, ", x.sizes(), ", beside one of the device");
    };
    for (const c10::IValue& argument : torch::jit::last(*stack, arguments)) {
        if (argument.isTensor()) {
            require(argument.toTensor());
        } else if (argument.isTensorList()) {
            for (const at::Tensor& x : argument.toTensorVector()) {
                require(x);
            }
        }
    }
    const std::int64_t before = waits; // moving there and back is no wait of a GPU
    at::native::cpu_fallback(op, stack);
    waits = before;
}

// --- what libtorch asks about devices ------------------------------------------------------------

template <class Index>
Index indexOf(bool (at::CUDAHooksInterface::*)(Index) const);
using HooksIndex = decltype(indexOf(&at::CUDAHooksInterface::hasPrimaryContext));

struct Hooks final : at::CUDAHooksInterface {
    bool hasCUDA() const override { return true; }
    bool hasCUDART() const override { return true; }
    bool hasPrimaryContext(HooksIndex) const override { return true; }
    int getNumGPUs() const override { return 1; }
};

class Guard final : public c10::impl::DeviceGuardImplInterface
{
public:
    at::DeviceType type() const override { return at::kCUDA; }
    at::Device exchangeDevice(at::Device) const override { return kGpu; }
    at::Device getDevice() const override { return kGpu; }
    void setDevice(at::Device) const override {}
    void uncheckedSetDevice(at::Device) const noexcept override {}
    c10::Stream getStream(at::Device) const noexcept override { return only(); }
    c10::Stream exchangeStream(c10::Stream) const noexcept override { return only(); }
    at::DeviceIndex deviceCount() const noexcept override { return 1; }

private:
    static c10::Stream only() { return c10::Stream(c10::Stream::DEFAULT, kGpu); }
};
} // namespace

bool pretendGpu()
{
    if (at::CUDAHooksRegistry()->Has("CUDAHooks")) {
        return false;
    }
    at::CUDAHooksRegistry()->Register(
        "CUDAHooks", [](at::CUDAHooksArgs) -> std::unique_ptr<at::CUDAHooksInterface> {
            return std::make_unique<Hooks>();
        });
    static Guard guard;
    c10::impl::DeviceGuardImplRegistrar(at::kCUDA, &guard);

    using torch::Library;
    static Library rest(Library::IMPL, "_", at::DispatchKey::CUDA, __FILE__, __LINE__);
    rest.fallback(torch::CppFunction::makeFromBoxedFunction<&compute>());
    static Library own(Library::IMPL, "aten", at::DispatchKey::CUDA, __FILE__, __LINE__);
    own.impl("empty.memory_format", &empty);
    own.impl("empty_strided", &emptyStrided);
    own.impl("resize_", &resize);
    own.impl("copy_", &copy);
    own.impl("_copy_from_and_resize", &copyAndResize);
    own.impl("_local_scalar_dense", &value);
    own.impl("as_strided", &at::native::as_strided_tensorimpl);
    own.impl("view",
             [](const at::Tensor& x, at::IntArrayRef sizes) { return at::native::view(x, sizes); });
    own.impl("_reshape_alias", &at::native::_reshape_alias);
    own.impl("unfold", [](const at::Tensor& x, std::int64_t axis, std::int64_t size,
                          std::int64_t step) { return at::native::unfold(x, axis, size, step); });
    return true;
}

std::int64_t pretendGpuWaits()
{
    return waits;
}

} // namespace qw::test

# Finds libtorch and makes the target QwTorch::QwTorch.
#
# QW_TORCH_DIR empty: the system's libtorch (Debian's libtorch-dev). Otherwise an unzipped libtorch
# or the `torch` folder of a pip install, whose own TorchConfig.cmake is not used: it asks for a
# CUDA toolkit and mixes in the system's libtorch. The libraries are linked directly instead.
include(FindPackageHandleStandardArgs)

# Paths found for one libtorch are of no use for another.
set(_qw_torch_paths QwTorch_INCLUDE_DIR QwTorch_API_INCLUDE_DIR QwTorch_torch_LIBRARY
    QwTorch_torch_cpu_LIBRARY QwTorch_c10_LIBRARY QwTorch_torch_cuda_LIBRARY
    QwTorch_c10_cuda_LIBRARY)
if(NOT "${QW_TORCH_DIR}" STREQUAL "${QwTorch_FOUND_FOR}")
    foreach(path ${_qw_torch_paths})
        unset(${path} CACHE)
    endforeach()
endif()
set(QwTorch_FOUND_FOR "${QW_TORCH_DIR}" CACHE INTERNAL "The libtorch these paths belong to")

if(QW_TORCH_DIR)
    set(_qw_torch_hints NO_DEFAULT_PATH PATHS "${QW_TORCH_DIR}")
else()
    set(_qw_torch_hints "")
endif()
find_path(QwTorch_INCLUDE_DIR ATen/core/Tensor.h ${_qw_torch_hints} PATH_SUFFIXES include)
find_path(QwTorch_API_INCLUDE_DIR torch/types.h ${_qw_torch_hints}
          HINTS ${QwTorch_INCLUDE_DIR}
          PATH_SUFFIXES include/torch/csrc/api/include torch/csrc/api/include)
foreach(lib torch torch_cpu c10)
    find_library(QwTorch_${lib}_LIBRARY ${lib} ${_qw_torch_hints} PATH_SUFFIXES lib)
endforeach()
foreach(lib torch_cuda c10_cuda)   # optional: a libtorch with CUDA
    find_library(QwTorch_${lib}_LIBRARY ${lib} ${_qw_torch_hints} PATH_SUFFIXES lib)
endforeach()
set(_qw_torch_config "${QW_TORCH_DIR}/share/cmake/Torch/TorchConfig.cmake")
if(QW_TORCH_DIR AND EXISTS "${_qw_torch_config}")
    file(STRINGS "${_qw_torch_config}" _qw_old_abi REGEX "_GLIBCXX_USE_CXX11_ABI=0")
    if(_qw_old_abi)
        message(FATAL_ERROR "${QW_TORCH_DIR} was built for the C++ ABI of before 2015; "
            "take the libtorch called \"cxx11 ABI\", or one of 2.6 or newer")
    endif()
endif()
find_package_handle_standard_args(QwTorch REQUIRED_VARS
    QwTorch_INCLUDE_DIR QwTorch_API_INCLUDE_DIR
    QwTorch_torch_LIBRARY QwTorch_torch_cpu_LIBRARY QwTorch_c10_LIBRARY
    REASON_FAILURE_MESSAGE
        "QW_TORCH_DIR is '${QW_TORCH_DIR}', which must hold include and lib (empty: the system)")

if(QwTorch_FOUND AND NOT TARGET QwTorch::QwTorch)
    find_package(OpenMP REQUIRED)
    add_library(QwTorch::QwTorch INTERFACE IMPORTED)
    target_include_directories(QwTorch::QwTorch SYSTEM INTERFACE
        ${QwTorch_INCLUDE_DIR} ${QwTorch_API_INCLUDE_DIR})
    set(_qw_torch_libs ${QwTorch_torch_LIBRARY} ${QwTorch_torch_cpu_LIBRARY} ${QwTorch_c10_LIBRARY})
    if(QwTorch_torch_cuda_LIBRARY)
        list(APPEND _qw_torch_libs ${QwTorch_torch_cuda_LIBRARY} ${QwTorch_c10_cuda_LIBRARY})
    endif()
    # --no-as-needed keeps torch_cuda, which registers itself and is called by nobody.
    target_link_libraries(QwTorch::QwTorch INTERFACE
        -Wl,--push-state,--no-as-needed,--allow-shlib-undefined ${_qw_torch_libs} -Wl,--pop-state
        OpenMP::OpenMP_CXX)
    if(QW_TORCH_DIR)
        target_link_options(QwTorch::QwTorch INTERFACE "-Wl,-rpath,${QW_TORCH_DIR}/lib")
        # Newer headers inline more, where GCC 12 guesses wrongly.
        target_compile_options(QwTorch::QwTorch INTERFACE
            -Wno-error=array-bounds -Wno-error=stringop-overflow)
    else()
        # Debian's libtorch takes whichever libblas.so.3 the system prefers, by default an OpenBLAS
        # with threads of its own, which then fight ATen's OpenMP threads for the cores (measured:
        # a factorization takes three times as long). The OpenBLAS built on OpenMP shares them. Only
        # the older kind of rpath also counts for what libtorch loads.
        find_path(QwTorch_openblas_openmp_DIR libblas.so.3 PATHS
                  "/usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp" NO_DEFAULT_PATH)
        if(QwTorch_openblas_openmp_DIR)
            target_link_options(QwTorch::QwTorch INTERFACE
                "-Wl,--disable-new-dtags,-rpath,${QwTorch_openblas_openmp_DIR}")
        endif()
        mark_as_advanced(QwTorch_openblas_openmp_DIR)
    endif()
endif()
mark_as_advanced(${_qw_torch_paths})

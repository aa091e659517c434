#pragma once
#include <oneapi/dnnl/dnnl.hpp>

namespace embedpool::bench {

/// C = A W^T by oneDNN on its own OpenMP threads: W plain, or reordered beforehand as the library likes it best.
class OneDnnGemm {
 public:
  OneDnnGemm(long rows, long columns, long depth, float* a, float* w, float* c, bool prepacked) {
    using dnnl::memory;
    const auto f32 = memory::data_type::f32;
    const memory::desc plain({depth, columns}, f32, memory::format_tag::ba);
    const memory::desc any({depth, columns}, f32, memory::format_tag::any);
    const memory::desc a_layout({rows, depth}, f32, memory::format_tag::ab);
    const memory::desc c_layout({rows, columns}, f32, memory::format_tag::ab);
    const dnnl::matmul::primitive_desc description({a_layout, prepacked ? any : plain, c_layout}, engine_);
    product_ = dnnl::matmul(description);
    w_ = memory(plain, engine_, w);
    if (prepacked) {
      memory packed(description.weights_desc(), engine_);
      dnnl::reorder(w_, packed).execute(stream_, w_, packed);
      stream_.wait();
      w_ = packed;
    }
    a_ = memory(a_layout, engine_, a);
    c_ = memory(c_layout, engine_, c);
  }
  void operator()() {
    product_.execute(stream_, {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, w_}, {DNNL_ARG_DST, c_}});
    stream_.wait();
  }

 private:
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::memory a_, w_, c_;
  dnnl::matmul product_;
};

}  // namespace embedpool::bench

// fiber: a thread of control with a stack of its own, switched by hand.
//
//   prepare(f, stack, bytes, entry);
//   switch_to(here, f);     // entry() runs until it switches back
//
// A switch on x86-64 is seven pushes and pops, what the calling convention wants kept; elsewhere,
// or with SIMT_UCONTEXT defined, it is ucontext, some eight times slower. Under the address
// sanitizer every switch says which stack comes next, so that frames on it are understood.
#pragma once

#include <cstddef>
#include <cstdint>

#if !defined(__x86_64__) || defined(SIMT_UCONTEXT)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif
#if defined(SIMT_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace simt {

#if defined(__x86_64__) && !defined(SIMT_UCONTEXT)

using machine_context = void*;  // the stack pointer; the registers lie on the stack

__attribute__((naked, noinline)) inline void swap_registers(void** /*save*/, void* /*load*/) {
  asm volatile(
      "pushq %rbp\n\tpushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
      "movq %rsp,(%rdi)\n\tmovq %rsi,%rsp\n\t"
      "popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tpopq %rbp\n\tret");
}
inline void swap(machine_context& from, machine_context& to) { swap_registers(&from, to); }

inline void prepare_machine(machine_context& m, char* stack, std::size_t bytes, void (*entry)()) {
  auto** p = reinterpret_cast<void**>((reinterpret_cast<std::uintptr_t>(stack) + bytes) &
                                      ~std::uintptr_t(63));
  *--p = nullptr;  // where entry would return to; also aligns the stack to 16 bytes at its start
  *--p = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--p = nullptr;  // rbp rbx r12 r13 r14 r15
  m = p;
}

#else

using machine_context = ucontext_t;

inline void swap(machine_context& from, machine_context& to) { swapcontext(&from, &to); }

inline void prepare_machine(machine_context& m, char* stack, std::size_t bytes, void (*entry)()) {
  getcontext(&m);
  m.uc_stack.ss_sp = stack;
  m.uc_stack.ss_size = bytes;
  m.uc_link = nullptr;
  makecontext(&m, entry, 0);
}

#endif

struct fiber {
  machine_context machine{};
  const void* stack = nullptr;  // with `bytes`, what the sanitizer is told
  std::size_t bytes = 0;
  void* shadow = nullptr;
};

inline void prepare(fiber& f, char* stack, std::size_t bytes, void (*entry)()) {
  f.stack = stack;
  f.bytes = bytes;
  f.shadow = nullptr;
#if defined(SIMT_ASAN)
  __asan_unpoison_memory_region(stack, bytes);  // frames of a fiber that never returned
#endif
  prepare_machine(f.machine, stack, bytes, entry);
}

/// Goes on in `to`; returns when somebody switches back to `from`. With `for_good` nobody will.
inline void switch_to(fiber& from, fiber& to, [[maybe_unused]] bool for_good = false) {
#if defined(SIMT_ASAN)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &from.shadow, to.stack, to.bytes);
#endif
  swap(from.machine, to.machine);
#if defined(SIMT_ASAN)
  __sanitizer_finish_switch_fiber(from.shadow, nullptr, nullptr);
#endif
}

/// The first thing an entry function does: completes the switch from `origin`, whose stack is
/// learnt on the way.
inline void arrived_from([[maybe_unused]] fiber& origin) {
#if defined(SIMT_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &origin.stack, &origin.bytes);
#endif
}

}  // namespace simt

#pragma once
#include <node_api.h>

#include <cstdint>
#include <vector>

/** Memory that chunks go to while it has room; JavaScript empties it when nobody looks at it any more. */
struct Arena {
  uint8_t* memory = nullptr;
  uint32_t size = 0;
  /** In the frame, so that JavaScript can write it. */
  uint32_t* used = nullptr;
  size_t room() const { return size - *used; }
};

/**
 * The buffer of one call: a view of JavaScript's bytes, and what the plugin put before and after them. Bytes that stay are never copied, nor even looked at
 * before the plugin asks for them; those that the plugin sets are copied once, to where they are written to the network from. One instance serves all calls, so
 * that its memory is reused.
 */
class Body {
 public:
  /** Bytes that the plugin gave. */
  struct Chunk {
    uint8_t* memory;
    /** undefined: in the arena. */
    napi_value buffer;
    size_t begin;
    size_t end;
    size_t capacity;
    size_t size() const { return end - begin; }
  };

  /** `input` is a Buffer, an array of Buffers, or undefined, with `size` bytes in all: valid for this call into the add-on. */
  void reset(napi_env env, napi_value input, size_t size, const Arena& arena);
  /** The call is over: nothing of JavaScript's is touched any more. */
  void forget_input() { input_ = nullptr; }

  size_t size() const { return size_; }
  bool changed() const { return changed_; }
  /** How much of the input is gone from its beginning. */
  size_t drained() const { return drained_; }
  /** False: the input is not what it was said to be. */
  bool copy_to(uint8_t* out) const;
  void drain(uint64_t count);
  /** False: there is no memory, or the buffer would grow beyond every bound. */
  bool set(const void* data, size_t size);
  bool append(const void* data, size_t size);
  bool prepend(const void* data, size_t size);

  /** Calls `visit(chunk)` for those before the input, then for those after it; returns how many came before. */
  template <typename Visit>
  size_t each_chunk(Visit visit) const {
    size_t front = 0;
    for (auto chunk = front_.rbegin(); chunk != front_.rend(); ++chunk) {
      if (chunk->size() == 0) continue;
      visit(*chunk);
      front += 1;
    }
    for (const Chunk& chunk : back_)
      if (chunk.size() > 0) visit(chunk);
    return front;
  }

 private:
  bool fits(size_t size) const;
  void grow(size_t size);
  /** Room for `size` bytes, in the arena or in a Buffer of its own. */
  bool make_chunk(size_t size, Chunk& chunk);
  bool copy_input(uint8_t* out) const;

  napi_env env_ = nullptr;
  Arena arena_;
  napi_value input_ = nullptr;
  size_t input_size_ = 0;
  size_t drained_ = 0;
  size_t size_ = 0;
  bool changed_ = false;
  /** The last one comes first. */
  std::vector<Chunk> front_;
  std::vector<Chunk> back_;
};

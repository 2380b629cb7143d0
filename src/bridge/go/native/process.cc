// What a process can do beside making calls.
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "addon.h"

napi_value glibc_version(napi_env env, napi_callback_info) {
  napi_value value;
  napi_create_string_utf8(env, gnu_get_libc_version(), NAPI_AUTO_LENGTH, &value);
  return value;
}

/** The kernel ends this process when its parent is gone, whatever a library does to it meanwhile. */
napi_value die_with_parent(napi_env, napi_callback_info) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return nullptr;
}

/** Gives the whole pages of what was freed back to the system, those between pieces that are in use and those of other threads included. */
napi_value trim_memory(napi_env, napi_callback_info) {
  malloc_trim(0);
  return nullptr;
}

/**
 * `mapSharedMemory(path, bytes)`: an ArrayBuffer over the beginning of the file. What is written to it is in the file for all others at once, and stays there
 * when this process is killed. Never unmapped.
 */
napi_value map_shared_memory(napi_env env, napi_callback_info info) {
  const Arguments args(env, info);
  const std::string path = args.text(0);
  const auto size = static_cast<size_t>(args.number(1));
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return fail(env, strerror(errno));
  struct stat status;
  // Bytes behind the end of the file would end the process when they are touched.
  const bool large_enough = size > 0 && fstat(file, &status) == 0 && static_cast<size_t>(status.st_size) >= size;
  void* memory = large_enough ? mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
  const int error = errno;
  close(file);
  if (!large_enough) return fail(env, "the file is smaller than that");
  if (memory == MAP_FAILED) return fail(env, strerror(error));
  napi_value buffer = nullptr;
  if (napi_create_external_arraybuffer(env, memory, size, nullptr, nullptr, &buffer) != napi_ok) {
    munmap(memory, size);
    return fail(env, "this Node.js does not take memory from outside");
  }
  return buffer;
}

// Reads and writes of stream sockets for sockets/native-sockets.ts: all that is readable is read and told to JavaScript in one call per turn of the event
// loop, into memory that JavaScript gave. Everything runs on the thread of the event loop.
#include <errno.h>
#include <fcntl.h>
#include <node_api.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

// Of libuv, which Node exports; its headers are not everywhere. Stable since libuv 1.0: https://docs.libuv.org/en/v1.x/poll.html
extern "C" {
int uv_poll_init(struct uv_loop_s *loop, void *handle, int fd);
int uv_poll_start(void *handle, int events, void (*callback)(void *handle, int status, int events));
size_t uv_handle_size(int type);
void uv_ref(void *handle);
void uv_unref(void *handle);
void uv_close(void *handle, void (*callback)(void *handle));
}

namespace {

constexpr int kUvPoll = 8;      // UV_POLL
constexpr int kUvReadable = 1;  // UV_READABLE

constexpr uint32_t kRead = 1, kWrite = 2;  // what JavaScript is interested in
constexpr int kUnwatched = -1;               // instead of an interest
constexpr int kWritable = -1, kHungUp = -2;  // instead of a place in the memory
constexpr int kMostReady = 64;               // two events of each: the array of JavaScript has room for 128
constexpr int kFields = 3;
constexpr size_t kSmallestRead = 65536;  // with less room left no other socket is read
constexpr int kMostTold = 8;             // then timers and others get their turn
constexpr int kOverwritten = 0xdb;

struct Host {
  napi_env env;
  int epoll = -1;
  void *poll = nullptr;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  napi_ref on_events, events_ref, memory_ref;
  int32_t *events;  // per event: fd; where its bytes begin in the memory, or kWritable or kHungUp; how many bytes, 0 for FIN, or -errno
  bool looking = false;      // descriptors that were found ready must go on meaning what they meant
  std::vector<int> closing;  // so these are closed later
  unsigned char *memory;  // where bytes are read to, again and again
  size_t size, used = 0;
  bool checked = false;  // overwrite what was told, so that whoever has kept it notices

  size_t room() const { return size - used; }
};

Host *host_of(napi_env env) {
  void *data;
  napi_get_instance_data(env, &data);
  return static_cast<Host *>(data);
}

/** Calls JavaScript with what was written to `events`. Its tick queue has run when this returns, and nobody has the bytes any more. */
void tell(Host *host, int count) {
  napi_handle_scope scope;
  napi_open_handle_scope(host->env, &scope);
  napi_value callback, global, argument;
  napi_get_reference_value(host->env, host->on_events, &callback);
  napi_get_global(host->env, &global);
  napi_create_int32(host->env, count, &argument);
  if (napi_make_callback(host->env, host->context, global, callback, 1, &argument, nullptr) == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(host->env, &error);
    napi_fatal_exception(host->env, error);
  }
  napi_close_handle_scope(host->env, scope);
  if (host->checked) memset(host->memory, kOverwritten, host->used);
  host->used = 0;
}

void record(Host *host, int *count, int fd, int at, int size) {
  int32_t *out = host->events + kFields * (*count)++;
  out[0] = fd;
  out[1] = at;
  out[2] = size;
}

int pending_error(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

/** False: there is no room for its bytes. */
bool take(Host *host, const epoll_event &event, int *count) {
  const int fd = static_cast<int>(event.data.u64 & 0xffffffff);
  const uint32_t interest = event.data.u64 >> 32;
  const bool failed = event.events & (EPOLLERR | EPOLLHUP);
  if (failed && !(interest & kRead)) {
    record(host, count, fd, kHungUp, -pending_error(fd));
    return true;
  }
  if (failed || (event.events & EPOLLIN)) {
    if (host->room() < kSmallestRead) return false;
    ssize_t got;
    do got = read(fd, host->memory + host->used, host->room());
    while (got < 0 && errno == EINTR);
    if (got >= 0 || errno != EAGAIN) record(host, count, fd, static_cast<int>(host->used), got < 0 ? -errno : static_cast<int>(got));
    if (got > 0) host->used += got;
  }
  // Behind what was read, which may be the error that writing would only echo.
  if (event.events & EPOLLOUT) record(host, count, fd, kWritable, 0);
  return true;
}

/** Tells all that these have, in as many calls as the memory needs: a socket that always has more must not keep those behind it waiting. */
int look_at(Host *host, const epoll_event *ready, int found) {
  int count = 0, told = 0;
  host->looking = true;
  for (int i = 0; i < found;) {
    if (take(host, ready[i], &count)) {
      i++;
      continue;
    }
    tell(host, count);
    count = 0;
    told++;
  }
  if (count > 0) tell(host, count);
  host->looking = false;
  for (const int fd : host->closing) close(fd);
  host->closing.clear();
  return told + 1;
}

/** Its status is that of `epoll`, which has no errors. */
void on_readable(void *handle, int, int) {
  Host *host = *static_cast<Host **>(handle);  // uv_handle_t begins with `void *data`
  epoll_event ready[kMostReady];
  for (int told = 0; told < kMostTold;) {
    const int found = epoll_wait(host->epoll, ready, kMostReady, 0);
    if (found > 0) told += look_at(host, ready, found);
    if (found < kMostReady) return;
  }
}

napi_value number(napi_env env, int value) {
  napi_value result;
  napi_create_int32(env, value, &result);
  return result;
}

template <size_t N>
void arguments(napi_env env, napi_callback_info info, napi_value (&values)[N]) {
  size_t count = N;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
}

int int_of(napi_env env, napi_value value) {
  int32_t result = 0;
  napi_get_value_int32(env, value, &result);
  return result;
}

/** The environment ends. */
void stop(napi_async_cleanup_hook_handle, void *data) {
  Host *host = static_cast<Host *>(data);
  uv_close(host->poll, [](void *handle) {
    Host *host = *static_cast<Host **>(handle);
    close(host->epoll);
    free(handle);
    napi_remove_async_cleanup_hook(host->cleanup);
  });
}

/** start(onEvents, events, memory): 0 or -errno. */
napi_value start(napi_env env, napi_callback_info info) {
  napi_value given[3];
  arguments(env, info, given);
  Host *host = host_of(env);
  if (host->epoll >= 0) return number(env, -EALREADY);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return number(env, -errno);
  struct uv_loop_s *loop;
  napi_get_uv_event_loop(env, &loop);
  host->poll = calloc(1, uv_handle_size(kUvPoll));
  const int result = uv_poll_init(loop, host->poll, epoll);
  if (result < 0) {
    free(host->poll);
    close(epoll);
    return number(env, result);
  }
  host->epoll = epoll;
  *static_cast<Host **>(host->poll) = host;
  uv_poll_start(host->poll, kUvReadable, on_readable);
  uv_unref(host->poll);
  napi_add_async_cleanup_hook(env, stop, host, &host->cleanup);
  napi_create_reference(env, given[0], 1, &host->on_events);
  napi_create_reference(env, given[1], 1, &host->events_ref);
  void *data;
  napi_get_buffer_info(env, given[1], &data, nullptr);
  host->events = static_cast<int32_t *>(data);
  napi_create_reference(env, given[2], 1, &host->memory_ref);
  napi_get_buffer_info(env, given[2], &data, &host->size);
  host->memory = static_cast<unsigned char *>(data);
  napi_value name;
  napi_create_string_utf8(env, "pontoon:sockets", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, nullptr, name, &host->context);
  return number(env, 0);
}

/** check(): from now on. */
napi_value check(napi_env env, napi_callback_info) {
  host_of(env)->checked = true;
  return nullptr;
}

/** duplicate(fd): a descriptor of its own for the same socket, or -errno. */
napi_value duplicate(napi_env env, napi_callback_info info) {
  napi_value given[1];
  arguments(env, info, given);
  const int fd = fcntl(int_of(env, given[0]), F_DUPFD_CLOEXEC, 3);
  return number(env, fd < 0 ? -errno : fd);
}

/** watch(fd, interest, before): bits kRead and kWrite; without kRead it is told when the connection is gone, with kUnwatched nothing. 0 or -errno. */
napi_value watch(napi_env env, napi_callback_info info) {
  napi_value given[3];
  arguments(env, info, given);
  const int fd = int_of(env, given[0]);
  const int interest = int_of(env, given[1]), before = int_of(env, given[2]);
  epoll_event event = {};
  if (interest & kRead) event.events |= EPOLLIN;
  if (interest & kWrite) event.events |= EPOLLOUT;
  event.data.u64 = static_cast<uint64_t>(interest) << 32 | static_cast<uint32_t>(fd);
  const int change = before == kUnwatched ? EPOLL_CTL_ADD : interest == kUnwatched ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
  return number(env, epoll_ctl(host_of(env)->epoll, change, fd, &event) < 0 ? -errno : 0);
}

/** write(fd, buffer, from, to): how many of those bytes went out, or -errno. */
napi_value write_bytes(napi_env env, napi_callback_info info) {
  napi_value given[4];
  arguments(env, info, given);
  void *data;
  size_t size;
  napi_get_buffer_info(env, given[1], &data, &size);
  const size_t from = int_of(env, given[2]);
  const size_t to = int_of(env, given[3]);
  if (from > to || to > size) return number(env, -EINVAL);
  ssize_t sent;
  do sent = send(int_of(env, given[0]), static_cast<unsigned char *>(data) + from, to - from, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return number(env, sent < 0 ? -errno : static_cast<int>(sent));
}

/** read(fd, buffer): how many bytes came, 0 for FIN, or -errno. */
napi_value read_bytes(napi_env env, napi_callback_info info) {
  napi_value given[2];
  arguments(env, info, given);
  void *data;
  size_t size;
  napi_get_buffer_info(env, given[1], &data, &size);
  ssize_t got;
  do got = read(int_of(env, given[0]), data, size);
  while (got < 0 && errno == EINTR);
  return number(env, got < 0 ? -errno : static_cast<int>(got));
}

/** accept(fd): a connection that waits at that listening socket, or -errno. */
napi_value accept_next(napi_env env, napi_callback_info info) {
  napi_value given[1];
  arguments(env, info, given);
  int accepted;
  do accepted = accept4(int_of(env, given[0]), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  while (accepted < 0 && (errno == EINTR || errno == ECONNABORTED));
  return number(env, accepted < 0 ? -errno : accepted);
}

/** finish(fd): FIN. 0 or -errno. */
napi_value finish(napi_env env, napi_callback_info info) {
  napi_value given[1];
  arguments(env, info, given);
  return number(env, shutdown(int_of(env, given[0]), SHUT_WR) < 0 ? -errno : 0);
}

/** close(fd, reset) */
napi_value close_fd(napi_env env, napi_callback_info info) {
  napi_value given[2];
  arguments(env, info, given);
  const int fd = int_of(env, given[0]);
  bool reset = false;
  napi_get_value_bool(env, given[1], &reset);
  if (reset) {
    const struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  Host *host = host_of(env);
  // Where another process still has the descriptor, closing alone would not take it out.
  epoll_ctl(host->epoll, EPOLL_CTL_DEL, fd, nullptr);
  if (host->looking) host->closing.push_back(fd);
  else close(fd);
  return nullptr;
}

/** keepAlive(active): whether open sockets keep the process alive. */
napi_value keep_alive(napi_env env, napi_callback_info info) {
  napi_value given[1];
  arguments(env, info, given);
  bool active = false;
  napi_get_value_bool(env, given[0], &active);
  if (active) uv_ref(host_of(env)->poll);
  else uv_unref(host_of(env)->poll);
  return nullptr;
}

}  // namespace

NAPI_MODULE_INIT() {
  Host *host = new Host();
  host->env = env;
  // Never freed: a process has few of them.
  napi_set_instance_data(env, host, nullptr, nullptr);
  const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"start", start}, {"check", check}, {"duplicate", duplicate}, {"watch", watch},
      {"write", write_bytes}, {"read", read_bytes}, {"accept", accept_next}, {"finish", finish}, {"close", close_fd}, {"keepAlive", keep_alive},
  };
  for (const auto &[name, function] : functions) {
    napi_value value;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
    napi_set_named_property(env, exports, name, value);
  }
  return exports;
}

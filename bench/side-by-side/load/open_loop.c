// An open-loop HTTP/1.1 client: request number i is due at start + i / RATE, whatever became of those before it.
//   open_loop PORT CONNECTIONS RATE SECONDS BODY_SIZE
// Latency counts from when the request was due, not from when a connection was free to send it: a server that stalls pays for every request that had to wait meanwhile
// (no coordinated omission). Every body is different and must come back as it was; the result is one line of JSON.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { head_limit = 8192, stamp_size = 16, receive_size = 262144, grace_ns = 1000000000 };
static const int64_t second = 1000000000;

typedef struct {
  int fd;
  bool busy;
  int64_t due;
  char stamp[stamp_size]; // the beginning of the body that was sent, which makes it different from all others
  size_t sent;
  char head[head_limit];
  size_t head_length;
  bool in_body;
  size_t body_received;
} connection_t;

static int epoll_fd, port;
static size_t body_size, request_head_length, stamped;
static char request_head[256], *body, received[receive_size];
static connection_t *connections, **idle; // a ring: all connections take turns
static size_t connection_count, idle_first, idle_count;
static uint32_t *latencies, *lags; // in microseconds
static size_t total, answered, lag_count, sent, failed, wrong;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * second + t.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void watch(connection_t *c, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  if (epoll_ctl(epoll_fd, operation, c->fd, &event)) die("epoll_ctl");
}

/** The server is gone: nothing of the run counts. */
static void give_up(void) {
  printf("{\"due\":%zu,\"answered\":0,\"failed\":%zu,\"wrong\":0,\"tookUs\":1,\"p50Us\":0,\"p99Us\":0,\"p999Us\":0,\"maxUs\":0,\"lagP99Us\":0}\n", total, total);
  exit(0);
}

/** Blocks; connections are opened before the clock starts, or again after one was lost. */
static void open_connection(connection_t *c) {
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(c->fd, (void *)&address, sizeof address)) give_up();
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void make_idle(connection_t *c) {
  c->busy = false;
  idle[(idle_first + idle_count++) % connection_count] = c;
}

static connection_t *take_idle(void) {
  connection_t *c = idle[idle_first];
  idle_first = (idle_first + 1) % connection_count;
  idle_count--;
  return c;
}

/** Counts a failure; the connection is replaced by a new one. */
static void fail(connection_t *c, const char *why) {
  if (failed++ == 0) fprintf(stderr, "open_loop: %s\n", why);
  close(c->fd);
  open_connection(c);
  if (c->busy) make_idle(c);
}

/** false: the connection was lost. */
static bool send_request(connection_t *c) {
  while (c->sent < request_head_length + body_size) {
    struct iovec pieces[3] = {{request_head, request_head_length}, {c->stamp, stamped}, {body + stamped, body_size - stamped}};
    size_t skip = c->sent;
    int first = 0;
    while (skip >= pieces[first].iov_len) skip -= pieces[first++].iov_len;
    pieces[first].iov_base = (char *)pieces[first].iov_base + skip;
    pieces[first].iov_len -= skip;
    struct msghdr message = {.msg_iov = pieces + first, .msg_iovlen = 3 - first};
    ssize_t n = sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
      return true;
    }
    if (n < 0) return fail(c, "the connection was lost while sending"), false;
    c->sent += n;
  }
  return true;
}

static void start_request(connection_t *c, int64_t due) {
  c->busy = true;
  c->due = due;
  c->sent = c->head_length = c->body_received = 0;
  c->in_body = false;
  char stamp[stamp_size + 1];
  snprintf(stamp, sizeof stamp, "%016zx", sent++);
  memcpy(c->stamp, stamp, stamp_size);
  send_request(c);
}

static void finish(connection_t *c) {
  latencies[answered++] = (uint32_t)((now_ns() - c->due) / 1000);
  make_idle(c);
}

/** Checks status and length. */
static bool check_head(connection_t *c) {
  char *field = strcasestr(c->head, "\r\ncontent-length:");
  return memcmp(c->head, "HTTP/1.1 200 ", 13) == 0 && field != NULL && strtoul(field + 17, NULL, 10) == body_size;
}

static bool same(connection_t *c, const char *data, size_t length) {
  size_t offset = c->body_received, in_stamp = offset < stamped ? stamped - offset : 0;
  if (in_stamp > length) in_stamp = length;
  return memcmp(data, c->stamp + offset, in_stamp) == 0 && memcmp(data + in_stamp, body + offset + in_stamp, length - in_stamp) == 0;
}

static void take(connection_t *c, char *data, size_t length) {
  if (!c->in_body) {
    size_t room = head_limit - 1 - c->head_length, before = c->head_length, n = length < room ? length : room;
    memcpy(c->head + before, data, n);
    c->head[before + n] = 0;
    char *end = memmem(c->head, before + n, "\r\n\r\n", 4);
    c->head_length = before + n;
    if (end == NULL) {
      if (c->head_length == head_limit - 1) wrong++, fail(c, "an answer without an end of its head");
      return;
    }
    size_t used = end + 4 - c->head - before;
    if (!check_head(c)) {
      end[0] = 0;
      wrong++;
      fail(c, c->head);
      return;
    }
    c->in_body = true;
    data += used;
    length -= used;
  }
  if (c->body_received + length > body_size || !same(c, data, length)) {
    wrong++;
    fail(c, "an answer with another body than was sent");
    return;
  }
  c->body_received += length;
  if (c->body_received == body_size) finish(c);
}

static void receive(connection_t *c) {
  ssize_t n = recv(c->fd, received, sizeof received, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) return fail(c, "the connection was closed");
  if (!c->busy) {
    wrong++;
    return fail(c, "bytes that answer nothing");
  }
  take(c, received, n);
}

static int ascending(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static uint32_t percentile(const uint32_t *sorted, size_t count, double share) {
  if (count == 0) return 0;
  size_t index = (size_t)(share * (double)count);
  return sorted[index < count ? index : count - 1];
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "usage: open_loop PORT CONNECTIONS RATE SECONDS BODY_SIZE\n"), 1;
  port = atoi(argv[1]);
  connection_count = strtoul(argv[2], NULL, 10);
  double rate = atof(argv[3]), seconds = atof(argv[4]);
  body_size = strtoul(argv[5], NULL, 10);
  stamped = body_size < stamp_size ? body_size : stamp_size;
  total = (size_t)(rate * seconds);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_TIMERSLACK, 1L);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  body = malloc(body_size + 1);
  connections = calloc(connection_count, sizeof *connections);
  idle = calloc(connection_count, sizeof *idle);
  latencies = malloc((total + 1) * sizeof *latencies);
  lags = malloc((total + 1) * sizeof *lags);
  if (!body || !connections || !idle || !latencies || !lags) die("malloc");
  for (size_t i = 0; i < body_size; i++) body[i] = (char)('a' + i % 23);
  request_head_length = snprintf(request_head, sizeof request_head, "POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n", port, body_size);
  for (size_t i = 0; i < connection_count; i++) {
    open_connection(&connections[i]);
    make_idle(&connections[i]);
  }

  int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9);
  bool starved = false;
  struct epoll_event events[256];
  for (;;) {
    int64_t now = now_ns(), due = start + (int64_t)((double)sent * 1e9 / rate);
    while (sent < total && due <= now && idle_count > 0) {
      // A delay that no lack of connections explains is this client's own.
      if (!starved) lags[lag_count++] = (uint32_t)((now - due) / 1000);
      start_request(take_idle(), due);
      due = start + (int64_t)((double)sent * 1e9 / rate);
      now = now_ns();
    }
    starved = sent < total && due <= now;
    if (sent == total && idle_count == connection_count) break;
    if (now > end + 5 * (int64_t)grace_ns) break;
    int64_t wait = sent == total || starved ? grace_ns : due - now;
    struct timespec timeout = {.tv_sec = wait / second, .tv_nsec = wait % second};
    int count = epoll_pwait2(epoll_fd, events, 256, &timeout, NULL);
    for (int i = 0; i < count; i++) {
      connection_t *c = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) {
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
        if (!send_request(c)) continue;
      }
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
    }
  }
  int64_t took = now_ns() - start;
  qsort(latencies, answered, sizeof *latencies, ascending);
  qsort(lags, lag_count, sizeof *lags, ascending);
  printf("{\"due\":%zu,\"answered\":%zu,\"failed\":%zu,\"wrong\":%zu,\"tookUs\":%lld,\"p50Us\":%u,\"p99Us\":%u,\"p999Us\":%u,\"maxUs\":%u,\"lagP99Us\":%u}\n", total, answered, failed + (total - sent),
         wrong, (long long)(took / 1000), percentile(latencies, answered, 0.5), percentile(latencies, answered, 0.99), percentile(latencies, answered, 0.999), percentile(latencies, answered, 1),
         percentile(lags, lag_count, 0.99));
  return 0;
}

// A small HTTP/1.1 server: Content-Length framing only, keep-alive, pipelining.
//   http_server echo        the request's body comes back: the server behind nginx and HAProxy
//   http_server constant    constant bytes, as many as the request's body has: the floor, one hop without any proxy
#include "server.h"

typedef struct {
  int fd;
  uint32_t events;
  char *in;
  size_t capacity, length;
  char head[160];
  size_t head_length;
  size_t request_length, body_offset, body_length; // of the request that is answered now; request_length 0: none
  size_t sent;
} connection_t;

static char *constant;
static size_t constant_length;

static void destroy(connection_t *c) {
  close(c->fd);
  free(c->in);
  free(c);
}

static void reserve(connection_t *c, size_t capacity) {
  if (capacity <= c->capacity) return;
  c->capacity = capacity;
  c->in = must(realloc(c->in, capacity + 1));
}

/** Prepares the answer when a request is there as a whole. */
static bool find_request(connection_t *c) {
  char *end = memmem(c->in, c->length, "\r\n\r\n", 4);
  if (end == NULL) {
    if (c->length == c->capacity) reserve(c, c->capacity * 2);
    return false;
  }
  size_t head = end + 4 - c->in, body = 0;
  end[2] = 0;
  char *field = strcasestr(c->in, "\r\ncontent-length:");
  if (field) body = strtoul(field + 17, NULL, 10);
  end[2] = '\r';
  if (c->length < head + body) {
    reserve(c, head + body);
    return false;
  }
  while (constant != NULL && constant_length < body) {
    constant_length *= 2;
    constant = memset(must(realloc(constant, constant_length)), 'k', constant_length);
  }
  c->head_length = snprintf(c->head, sizeof c->head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nContent-Type: application/octet-stream\r\n\r\n", body);
  c->request_length = head + body;
  c->body_offset = head;
  c->body_length = body;
  c->sent = 0;
  answers++;
  answer_bytes += body;
  return true;
}

/** false: the connection is over. */
static bool send_answer(connection_t *c) {
  const char *body = constant ? constant : c->in + c->body_offset;
  size_t total = c->head_length + c->body_length;
  while (c->sent < total) {
    size_t head_sent = c->sent < c->head_length ? c->sent : c->head_length, body_sent = c->sent - head_sent;
    struct iovec pieces[2] = {{c->head + head_sent, c->head_length - head_sent}, {(char *)body + body_sent, c->body_length - body_sent}};
    ssize_t n = writev(c->fd, pieces, 2);
    if (n < 0) return errno == EAGAIN;
    c->sent += n;
  }
  c->length -= c->request_length;
  memmove(c->in, c->in + c->request_length, c->length);
  c->request_length = 0;
  return true;
}

static bool answer(connection_t *c) {
  while (c->request_length > 0 || find_request(c)) {
    if (!send_answer(c)) return false;
    if (c->request_length > 0) break; // the rest follows when the socket takes more
  }
  uint32_t events = c->request_length > 0 ? EPOLLOUT : EPOLLIN;
  if (events != c->events) watch(c->fd, EPOLL_CTL_MOD, c->events = events, c);
  return true;
}

static bool receive(connection_t *c) {
  ssize_t n = recv(c->fd, c->in + c->length, c->capacity - c->length, 0);
  if (n == 0 || (n < 0 && errno != EAGAIN)) return false;
  if (n > 0) c->length += n;
  return answer(c);
}

int main(int argc, char **argv) {
  if (argc != 2) return fprintf(stderr, "usage: http_server echo|constant\n"), 1;
  if (strcmp(argv[1], "constant") == 0) {
    constant_length = first_capacity;
    constant = memset(must(malloc(constant_length)), 'k', constant_length);
  }
  int listener = start_listening();
  struct epoll_event events[max_events];
  for (;;) {
    int count = wait_for_events(events, -1);
    for (int i = 0; i < count; i++) {
      connection_t *c = events[i].data.ptr;
      if (c == NULL) {
        for (int fd; (fd = accept_one(listener)) >= 0;) {
          c = must(calloc(1, sizeof *c));
          c->fd = fd;
          c->events = EPOLLIN;
          reserve(c, first_capacity);
          watch(fd, EPOLL_CTL_ADD, EPOLLIN, c);
        }
        continue;
      }
      if (!(events[i].events & EPOLLOUT ? answer(c) : receive(c))) destroy(c);
    }
  }
}

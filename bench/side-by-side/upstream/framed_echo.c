// The TCP server behind the bridges: every frame comes back as it is.
//   framed_echo HEADER_SIZE in_order|by_id
// A frame is the length of its payload (u32, big-endian), HEADER_SIZE - 4 bytes more (an id), and the payload.
// A payload "STALL <ms>\n..." is answered after so many milliseconds, with 0 never: in_order holds everything behind it on that connection back, by_id lets the
// other frames pass.
#include "server.h"

typedef struct connection {
  int fd;
  uint32_t events;
  char *in;
  size_t capacity, length;
  size_t ready, sent;     // whole frames at the beginning of `in` that are the answer now, and how much of them went out
  int64_t blocked_until;  // 0: not blocked; in_order only
  bool blocked, answer_blocked;
  struct connection *next_blocked;
} connection_t;

/** A frame that is answered later, by_id only. */
typedef struct held {
  struct held *next;
  connection_t *connection;
  int64_t due;
  size_t length;
  char bytes[];
} held_t;

static size_t header_size;
static bool by_id;
static connection_t *blocked;
static held_t *held;

static void unblock(connection_t *c) {
  if (!c->blocked) return;
  c->blocked = false;
  for (connection_t **at = &blocked; *at; at = &(*at)->next_blocked) {
    if (*at == c) {
      *at = c->next_blocked;
      return;
    }
  }
}

static void destroy(connection_t *c) {
  unblock(c);
  for (held_t **at = &held; *at;) {
    held_t *one = *at;
    if (one->connection == c) {
      *at = one->next;
      free(one);
    } else at = &one->next;
  }
  close(c->fd);
  free(c->in);
  free(c);
}

static void update_interest(connection_t *c) {
  uint32_t events = c->sent < c->ready ? EPOLLOUT : c->blocked ? 0 : EPOLLIN;
  if (events == c->events) return;
  c->events = events;
  watch(c->fd, EPOLL_CTL_MOD, events | EPOLLRDHUP, c);
}

/** Milliseconds that the frame's answer waits; -1 for an ordinary frame. */
static int stall_of(const char *payload, size_t length) {
  if (length < 8 || memcmp(payload, "STALL ", 6) != 0) return -1;
  return atoi(payload + 6);
}

static void hold(connection_t *c, const char *frame, size_t length, int stall) {
  if (stall == 0) return;
  held_t *one = must(malloc(sizeof *one + length));
  *one = (held_t){.next = held, .connection = c, .due = now_ms() + stall, .length = length};
  memcpy(one->bytes, frame, length);
  held = one;
}

static void block(connection_t *c, int stall) {
  c->blocked = true;
  c->blocked_until = stall == 0 ? INT64_MAX : now_ms() + stall;
  c->next_blocked = blocked;
  blocked = c;
}

/** Finds the whole frames at the beginning. false: what came is no frame. */
static bool find_frames(connection_t *c) {
  while (!c->blocked && c->length - c->ready >= header_size) {
    char *frame = c->in + c->ready;
    size_t payload = read_u32(frame), whole = header_size + payload;
    if (payload > (size_t)256 << 20) return false;
    if (c->length - c->ready < whole) {
      if (c->ready == 0 && whole > c->capacity) {
        c->capacity = whole;
        c->in = must(realloc(c->in, whole));
      }
      return true;
    }
    int stall = c->answer_blocked ? -1 : stall_of(frame + header_size, payload);
    c->answer_blocked = false;
    if (stall >= 0 && by_id) {
      hold(c, frame, whole, stall);
      memmove(frame, frame + whole, c->length - c->ready - whole);
      c->length -= whole;
      continue;
    }
    if (stall >= 0) {
      block(c, stall);
      return true;
    }
    answers++;
    answer_bytes += payload;
    c->ready += whole;
  }
  return true;
}

static bool send_ready(connection_t *c) {
  while (c->sent < c->ready) {
    ssize_t n = send(c->fd, c->in + c->sent, c->ready - c->sent, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    c->sent += n;
  }
  memmove(c->in, c->in + c->ready, c->length - c->ready);
  c->length -= c->ready;
  c->ready = c->sent = 0;
  return true;
}

/** Answers what is there. false: the connection is over. */
static bool answer(connection_t *c) {
  for (;;) {
    if (!find_frames(c)) return false;
    if (c->ready == 0) break;
    if (!send_ready(c)) return false;
    if (c->ready > 0) break; // the rest follows when the socket takes more
  }
  update_interest(c);
  return true;
}

static bool receive(connection_t *c) {
  ssize_t n = recv(c->fd, c->in + c->length, c->capacity - c->length, 0);
  if (n == 0 || (n < 0 && errno != EAGAIN)) return false;
  if (n > 0) c->length += n;
  return answer(c);
}

/** Lets go of what has waited long enough; gives the milliseconds until the next, -1 without any. */
static int release_due(void) {
  if (!blocked && !held) return -1;
  int64_t now = now_ms(), next = INT64_MAX;
  for (connection_t *c = blocked, *following; c; c = following) {
    following = c->next_blocked;
    if (c->blocked_until > now) {
      if (c->blocked_until < next) next = c->blocked_until;
      continue;
    }
    unblock(c);
    c->answer_blocked = true;
    if (!answer(c)) destroy(c);
  }
  for (held_t **at = &held; *at;) {
    held_t *one = *at;
    if (one->due > now || one->connection->sent < one->connection->ready) {
      int64_t due = one->due > now ? one->due : now + 1;
      if (due < next) next = due;
      at = &one->next;
      continue;
    }
    // Small, to a socket that has room; if it has not, the connection's end will tell.
    if (send(one->connection->fd, one->bytes, one->length, MSG_NOSIGNAL) != (ssize_t)one->length)
      shutdown(one->connection->fd, SHUT_RDWR);
    answers++;
    answer_bytes += one->length - header_size;
    *at = one->next;
    free(one);
  }
  return next == INT64_MAX ? -1 : (int)(next - now);
}

int main(int argc, char **argv) {
  if (argc != 3 || (header_size = strtoul(argv[1], NULL, 10)) < 4) return fprintf(stderr, "usage: framed_echo HEADER_SIZE in_order|by_id\n"), 1;
  by_id = strcmp(argv[2], "by_id") == 0;
  int listener = start_listening();
  struct epoll_event events[max_events];
  for (;;) {
    int count = wait_for_events(events, release_due());
    for (int i = 0; i < count; i++) {
      connection_t *c = events[i].data.ptr;
      if (c == NULL) {
        for (int fd; (fd = accept_one(listener)) >= 0;) {
          c = must(calloc(1, sizeof *c));
          *c = (connection_t){.fd = fd, .events = EPOLLIN, .capacity = first_capacity, .in = must(malloc(first_capacity))};
          watch(fd, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP, c);
        }
        continue;
      }
      bool alive = true;
      if (events[i].events & EPOLLOUT) alive = send_ready(c) && (c->ready > 0 || answer(c));
      else if (events[i].events & EPOLLIN) alive = receive(c);
      else alive = false; // hung up while nothing was to be read
      if (!alive) destroy(c);
    }
  }
}

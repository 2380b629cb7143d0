// What the benchmark's servers have in common: one thread, one epoll, a port of the system's choice (printed as "listening PORT"), and counts that are printed as one
// line of JSON whenever SIGUSR1 comes.
#pragma once
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
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { max_events = 256, first_capacity = 65536 };

static int epoll_fd;
static unsigned long long connections, answers, answer_bytes;
static volatile sig_atomic_t report_wanted;
static sigset_t unblocked;

static void want_report(int signal) {
  (void)signal;
  report_wanted = 1;
}

static void report_if_wanted(void) {
  if (!report_wanted) return;
  report_wanted = 0;
  printf("{\"connections\":%llu,\"answers\":%llu,\"bytes\":%llu}\n", connections, answers, answer_bytes);
  fflush(stdout);
}

static void *must(void *memory) {
  if (memory == NULL) abort();
  return memory;
}

static inline uint32_t read_u32(const char *at) {
  const unsigned char *p = (const unsigned char *)at;
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void watch(int fd, int operation, uint32_t events, void *data) {
  struct epoll_event event = {.events = events, .data.ptr = data};
  epoll_ctl(epoll_fd, operation, fd, &event);
}

/** The listening socket is the one without data. */
static int start_listening(void) {
  signal(SIGPIPE, SIG_IGN);
  struct sigaction on_report = {.sa_handler = want_report};
  sigaction(SIGUSR1, &on_report, NULL);
  sigset_t report;
  sigemptyset(&report);
  sigaddset(&report, SIGUSR1);
  sigprocmask(SIG_BLOCK, &report, &unblocked);
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (bind(fd, (void *)&address, size) || listen(fd, 4096) || getsockname(fd, (void *)&address, &size)) {
    perror("listen");
    exit(1);
  }
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  watch(fd, EPOLL_CTL_ADD, EPOLLIN, NULL);
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

/** -1 when nobody waits. */
static int accept_one(int listener) {
  int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return -1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  connections++;
  return fd;
}

/** Waits for events; only here SIGUSR1 is let in, so none is missed. */
static int wait_for_events(struct epoll_event *events, int timeout_ms) {
  int count = epoll_pwait(epoll_fd, events, max_events, timeout_ms, &unblocked);
  report_if_wanted();
  return count;
}

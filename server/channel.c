/* channel - messages between supervisor and server. See channel.h. */
#define _GNU_SOURCE
#include "server/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KIND_LAST ANSWER_ERROR

#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0      /* macOS: set one by one, below */
#endif

/* Room for the descriptors of a message, aligned as the system wants it. */
union control {
	struct cmsghdr header;
	char           space[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
};

enum rc
channel_pair(int ends[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0)
		return err_os(e, errno, "socketpair");
	for (int i = 0; i < 2; i++)
		(void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
	return RC_OK;
}

enum rc
channel_send(int fd, const struct channel_message *m, bool wait, struct err *e)
{
	uint8_t kind = (uint8_t)m->kind;
	struct iovec iov[2] = { { &kind, 1 }, { (void *)(uintptr_t)m->data, m->len } };
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = 2 };
	union control c;
	ssize_t n;

	if (m->fd_count > 0) {
		size_t size = m->fd_count * sizeof(int);

		memset(&c, 0, sizeof c);
		c.header.cmsg_level = SOL_SOCKET;
		c.header.cmsg_type = SCM_RIGHTS;
		c.header.cmsg_len = CMSG_LEN(size);
		memcpy(CMSG_DATA(&c.header), m->fds, size);
		h.msg_control = &c;
		h.msg_controllen = CMSG_SPACE(size);
	}
	do
		n = sendmsg(fd, &h, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return RC_OK;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return err_set(e, RC_BUSY, "the other process does not listen");
	return err_os(e, errno, "sending to the other process");
}

static void
take_fds(struct channel_message *m, struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (n > CHANNEL_FDS_MAX - m->fd_count)
			continue;               /* there was no room for so many */
		memcpy(m->fds + m->fd_count, CMSG_DATA(c), n * sizeof(int));
		m->fd_count += (unsigned)n;
	}
	for (unsigned i = 0; MSG_CMSG_CLOEXEC == 0 && i < m->fd_count; i++)
		(void)fcntl(m->fds[i], F_SETFD, FD_CLOEXEC);
}

enum rc
channel_receive(int fd, struct channel_message *m, bool wait, struct err *e)
{
	uint8_t kind = UINT8_MAX;
	struct iovec iov[2] = { { &kind, 1 }, { m->data, sizeof m->data } };
	union control c;
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = &c,
	                    .msg_controllen = sizeof c };
	ssize_t n;

	m->fd_count = 0;
	m->len = 0;
	do
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return err_set(e, RC_BUSY, "nothing there");
	if (n < 0 && errno != ECONNRESET)
		return err_os(e, errno, "receiving from the other process");
	if (n <= 0)
		return err_set(e, RC_NOT_FOUND, "the other process has ended");
	take_fds(m, &h);
	if (kind > KIND_LAST || (h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		channel_close_fds(m, 0);
		return err_set(e, RC_SYNTAX, "a message that is none");
	}
	m->kind = (enum channel_kind)kind;
	m->len = (size_t)n - 1;
	return RC_OK;
}

void
channel_close_fds(struct channel_message *m, unsigned first)
{
	while (m->fd_count > first)
		close(m->fds[--m->fd_count]);
}

/* control - the unix socket by which restantectl reaches the running daemon.
 *
 * The caller sends one line: the verb's words, each percent-encoded (every octet but letters, digits and "-._~/@+:=,$"
 * as %XX; an empty word as "%"), one space between, ended by LF. It is answered by lines:
 *
 *     out TEXT                  a line of result
 *     err TEXT                  a line for standard error
 *     progress DONE TOTAL WHAT  of long work
 *     data N                    N bytes (up to CONTROL_DATA_MAX) of result that is no text follow the line
 *     input                     the caller may send its bytes now
 *     exit N                    the last one: the exit status (enum admin_exit)
 *
 * Asked by `input`, the caller sends pieces, each "data N" with N bytes behind its LF, then "end"; or "abort" if it
 * cannot go on. Flow control is the socket's: neither side holds more than a piece. So that both can send at once, the
 * caller never waits to send without reading. What is not asked for is not sent: a request that is refused leaves
 * nothing unread. Rejected: credits as in HTTP/2, as there is one stream only; a second socket, as it would have to be
 * found and protected like the first.
 *
 * Then the connection is closed. If it is closed without an exit line, the daemon died. A caller that closes it before
 * the exit line has come cancels the request: what was done stays done, and the rest is not. Only the daemon's own user
 * and root are served. Each request has a thread of its own, so that a long check delays nobody.
 */
#ifndef RESTANTE_SERVER_CONTROL_H
#define RESTANTE_SERVER_CONTROL_H

#include <stdatomic.h>

#include "lib/buf.h"
#include "lib/err.h"

#define CONTROL_LINE_MAX  65536u
#define CONTROL_WORDS_MAX 256
#define CONTROL_CALLS_MAX 32            /* requests served at one time */
#define CONTROL_DATA_MAX  65536u        /* bytes of one piece */

struct control;
struct control_call;

/* Serve one request; returns the exit status. On the request's own thread; may block. */
typedef int (*control_handler)(void *arg, struct control_call *call, int argc,
                               const char *const *argv);

/* On this bound socket, which is taken over, also on failure; whoever bound it removes it from the file system. */
MUST_USE enum rc control_open(int fd, control_handler handler, void *arg, struct control **out,
                              struct err *e);
/* Start answering, once somebody lets the socket listen. */
MUST_USE enum rc control_start(struct control *c, struct err *e);
/* No further requests are taken; those under way are cancelled and waited for. */
void control_close(struct control **c);

/* True as soon as the caller has gone away, or the daemon ends: the request is to end soon. Valid while
 * the handler runs. */
const atomic_bool *control_gone(const struct control_call *call);
/* From the handler. False when nobody reads any more. */
bool control_out(struct control_call *call, struct slice text);
bool control_err(struct control_call *call, struct slice text);
bool control_progress(struct control_call *call, const char *what, uint64_t done, uint64_t total);
/* Bytes of the result, in their order among the lines. Waits as long as the caller reads slowly. */
bool control_data(struct control_call *call, struct slice bytes);
/* The next bytes that the caller sends, at least one and at most `size`; *got is 0 at their end. Waits as long as the
 * caller is there. RC_CANCELLED: it gave up, or has gone away, or the daemon ends. RC_SYNTAX: no piece. */
MUST_USE enum rc control_read(struct control_call *call, uint8_t *to, size_t size, size_t *got,
                              struct err *e);

/* Split and decode a request line (without LF) in place: argv[] points into it. -1: syntax error. */
int control_parse(char *line, const char **argv, int max);

#endif

/* control - the unix socket by which restantectl reaches the running daemon.
 *
 * The caller sends one line: the verb's words, each percent-encoded (every octet but letters, digits and "-._~/@+:=,$"
 * as %XX; an empty word as "%"), one space between, ended by LF. It is answered by lines:
 *
 *     out TEXT                  a line of result
 *     err TEXT                  a line for standard error
 *     progress DONE TOTAL WHAT  of long work
 *     exit N                    the last one: the exit status (enum admin_exit)
 *
 * Then the connection is closed. If it is closed without an exit line, the daemon died. Only the daemon's own user and
 * root are served. Each request has a thread of its own, so that a long check delays nobody.
 */
#ifndef RESTANTE_SERVER_CONTROL_H
#define RESTANTE_SERVER_CONTROL_H

#include "lib/buf.h"
#include "lib/err.h"

#define CONTROL_LINE_MAX  65536u
#define CONTROL_WORDS_MAX 256
#define CONTROL_CALLS_MAX 32            /* requests served at one time */

struct control;
struct control_call;

/* Serve one request; returns the exit status. On the request's own thread; may block. */
typedef int (*control_handler)(void *arg, struct control_call *call, int argc, const char *const *argv);

/* Bind the socket (mode 0600); a stale one is replaced, a living one is RC_EXISTS. */
MUST_USE enum rc control_open(const char *path, control_handler handler, void *arg, struct control **out,
                              struct err *e);
/* Start answering. */
MUST_USE enum rc control_start(struct control *c, struct err *e);
/* No further requests are taken; those under way are waited for, their output goes nowhere. Removes the socket. */
void control_close(struct control **c);

/* From the handler. False when nobody reads any more. */
bool control_out(struct control_call *call, struct slice text);
bool control_err(struct control_call *call, struct slice text);
bool control_progress(struct control_call *call, const char *what, uint64_t done, uint64_t total);

/* Split and decode a request line (without LF) in place: argv[] points into it. -1: syntax error. */
int control_parse(char *line, const char **argv, int max);

#endif

/* systemd - tell the service manager how we are, if it asked (NOTIFY_SOCKET). No library needed: it is one datagram. */
#ifndef RESTANTE_SERVER_SYSTEMD_H
#define RESTANTE_SERVER_SYSTEMD_H

/* "READY=1", "STOPPING=1", "RELOADING=1" ... Failures are nobody's business. */
void systemd_notify(const char *state);

#endif

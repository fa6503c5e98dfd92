"""The server's core as clients meet it, whatever the protocol: delays, connections that idle, leave, or never end."""

import time

from harness import Server


def test_failed_logins_are_answered_late():
    with Server({"anna": "anna-secret"}, auth_delay=700) as s:
        s.start()
        with s.raw("pop3") as c:
            c.line()
            for least, most in ((0.7, 2), (1.4, 3)):
                began = time.monotonic()
                c.send("USER anna\r\nPASS wrong\r\n")
                assert c.line().startswith(b"+OK")
                assert c.line().startswith(b"-ERR [AUTH]")
                assert least <= time.monotonic() - began < most
            # Nobody else waits.
            c.send("USER anna\r\nPASS wrong\r\n")
            began = time.monotonic()
            s.pop("anna").quit()
            assert time.monotonic() - began < 0.7

"""Thunderbird: the user's day, with what the server then has, and what Thunderbird shows after others changed it."""

from clients import change, state
from harness import message
from thunderbird import Thunderbird

LOGIN = """
const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
login.init("imap://127.0.0.1", null, "imap://127.0.0.1", %r, "secret", "", "");
await Services.logins.addLoginAsync(login);
"""


def test_thunderbird_both_ways(home):
    server, user, top = home
    text = message("m0", size=200000)
    server.deliver([user], text)
    for i in range(1, 6):
        server.deliver([user], message("m%d" % i, size=3000))
    with Thunderbird(top, server.port("imap"), user) as t:
        t.js(LOGIN % user)
        t.js("await expand();")
        seen = t.js("""const f = folder("Inbox"); await update(f);
            await until("headers", () => [...f.messages].length == 6); return headers(f);""")
        assert [s[0] for s in seen] == ["m%d" % i for i in range(6)]
        assert all(not read and not flagged for _, _, read, flagged, _ in seen)

        # Reading: the body, whole.
        body = t.js("""const f = folder("Inbox"); const h = header(f, "m0");
            const stream = await new Promise((resolve, reject) => {
              const service = MailServices.messageServiceFromURI("imap-message:");
              let data = "";
              service.streamMessage(f.getUriForMsg(h), {
                onStartRequest() {},
                onStopRequest(r, status) { status == 0 ? resolve(data) : reject(new Error(status.toString(16))); },
                onDataAvailable(r, input, offset, count) {
                  const s = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
                  s.setInputStream(input); data += s.readBytes(count);
                },
                QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
              }, null, null, false, "", false);
            });
            return stream;""")
        assert body.replace("\r\n", "\n").endswith(text.replace("\r\n", "\n").split("\n\n", 1)[1])

        # Flags, a tag, a new mailbox, a move, a copy, a deletion.
        t.js("""const f = folder("Inbox");
            f.markMessagesRead([header(f, "m0")], true);
            f.markMessagesFlagged([header(f, "m1")], true);
            f.addKeywordsToMessages([header(f, "m2")], "$label1");
            server.rootFolder.createSubfolder("project", null);
            const p = await until("project", () => folder("project"));
            const transfer = (subject, move) => new Promise((resolve, reject) =>
              MailServices.copy.copyMessages(f, [header(f, subject)], p, move, copyListener(resolve, reject), null, false));
            await transfer("m3", true);
            await transfer("m4", false);
            f.deleteMessages([header(f, "m5")], null, false, false, null, false);
            await until("m5 is gone", () => !header(f, "m5"));
            await update(f); await update(p); await sleep(500);""")
        there = dict(state(server, user))
        assert sorted(there) == ["m0", "m1", "m2", "m4"]
        assert "\\Seen" in there["m0"] and "\\Flagged" in there["m1"] and "$label1" in there["m2"]
        assert [s for s, _ in state(server, user, "project")] == ["m3", "m4"]
        assert [s for s, _ in state(server, user, "Trash")] == ["m5"]

        # Others change the same mailbox: it shows.
        change(server, user, "m4", "\\Deleted", expunge=True)
        change(server, user, "m2", "\\Flagged \\Seen")
        server.deliver([user], message("=?utf-8?Q?f=C3=BCr_sp=C3=A4ter?="))
        seen = t.js("""const f = folder("Inbox"); await update(f);
            await until("the new one", () => header(f, "für später")); await update(f); return headers(f);""")
        assert [s[0] for s in seen] == ["für später", "m0", "m1", "m2"]
        shown = {s[0]: s for s in seen}
        assert shown["m2"][2] and shown["m2"][3] and shown["m0"][2] and not shown["für später"][2]

    # The next day: it comes back with its files, and knows what is new.
    server.deliver([user], message("m7"))
    change(server, user, "m1", "\\Deleted", expunge=True)
    with Thunderbird(top, server.port("imap"), user) as t:
        seen = t.js("""await expand(); const f = folder("Inbox"); await update(f);
            await until("the new one", () => header(f, "m7")); await update(f); return headers(f);""")
        assert [s[0] for s in seen] == ["für später", "m0", "m2", "m7"]

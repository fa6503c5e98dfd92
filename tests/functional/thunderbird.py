"""Thunderbird without a screen, driven through its Marionette port: scripts run inside it, as its own window's would."""

import json
import os
import signal
import socket
import subprocess
import time

from clients import need, write
from harness import PATIENCE_S

PREFS = {
    "mail.accountmanager.accounts": "account1",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.identity.id1.useremail": "anna@example.org",
    "mail.identity.id1.fullName": "Anna",
    "mail.identity.id1.valid": True,
    "mail.identity.id1.smtpServer": "smtp1",
    "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": "127.0.0.1",
    "mail.server.server1.authMethod": 3,        # a password, as it is
    "mail.server.server1.socketType": 0,
    "mail.server.server1.name": "anna",
    "mail.server.server1.login_at_startup": False,
    "mail.server.server1.check_new_mail": False,
    "mail.server.server1.use_idle": False,
    "mail.server.server1.max_cached_connections": 3,
    "mail.server.default.autosync_offline_stores": False,
    "mail.spotlight.enable": False,
    "mail.winsearch.enable": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mailnews.start_page.enabled": False,
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,none",
    "signon.rememberSignons": True,
    "marionette.port": 0,
}

# In front of every script: the account's server, folders by path, and waiting for what Thunderbird does on its own time.
PRELUDE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = MailServices.accounts.getAccount("account1").incomingServer;
const done = arguments[arguments.length - 1];
const sleep = ms => new Promise(r => window.setTimeout(r, ms));
async function until(what, test) {
  for (let i = 0; i < 600; i++) {
    const value = await test();
    if (value) return value;
    await sleep(50);
  }
  throw new Error("never came: " + what);
}
function folder(path) {
  let f = server.rootFolder;
  for (const name of path.split("/"))
    f = f.subFolders.find(s => s.name.toLowerCase() == name.toLowerCase());
  return f;
}
// Asking whether a password is needed makes it take the stored one; performExpand alone would wait for a prompt.
async function expand() {
  await window.delayedStartupPromise;
  if (server.passwordPromptRequired)
    throw new Error("the password is not stored");
  server.performExpand(null);
  await until("folders", () => folder("Inbox") && folder("Sent"));
}
function update(f) {
  return new Promise((resolve, reject) => f.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, {
    OnStartRunningUrl() {},
    OnStopRunningUrl(url, status) { status == 0 ? resolve() : reject(new Error("update: " + status.toString(16))); },
  }));
}
function copyListener(resolve, reject) {
  return {
    onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; },
    onStopCopy(status) { status == 0 ? resolve() : reject(new Error("copy: " + status.toString(16))); },
    QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
  };
}
const header = (f, subject) => [...f.messages].find(h => h.mime2DecodedSubject == subject);
const headers = f => [...f.messages].map(h => [h.mime2DecodedSubject, h.messageSize, h.isRead, h.isFlagged,
                                               h.getStringProperty("keywords")]).sort();
(async () => { %s })().then(value => done({ value: value === undefined ? null : value }),
                            e => done({ error: String(e) + " " + (e && e.stack) }));
"""


class Thunderbird:
    def __init__(self, top, port, user):
        self.top, self.user = top, user
        self.profile = os.path.join(top, "profile")
        prefs = dict(PREFS, **{"mail.server.server1.port": port, "mail.server.server1.userName": user})
        write(os.path.join(self.profile, "user.js"),
              "".join("user_pref(%s, %s);\n" % (json.dumps(k), json.dumps(v)) for k, v in prefs.items()))
        self.proc = None
        self.sock = None
        self.ids = 0

    def start(self):
        env = dict(os.environ, HOME=self.top, MOZ_HEADLESS="1", MOZ_CRASHREPORTER_DISABLE="1", LC_ALL="C.UTF-8")
        log = open(os.path.join(self.top, "thunderbird.log"), "ab")
        port_file = os.path.join(self.profile, "MarionetteActivePort")
        if os.path.exists(port_file):
            os.remove(port_file)
        self.proc = subprocess.Popen(
            [need("thunderbird", "thunderbird"), "--headless", "--no-remote", "--profile", self.profile,
             "--marionette", "--remote-allow-system-access"],
            env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        deadline = time.monotonic() + PATIENCE_S * 2
        while not os.path.exists(port_file) or not open(port_file).read().strip():
            assert self.proc.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.1)
        self.sock = socket.create_connection(("127.0.0.1", int(open(port_file).read())), timeout=PATIENCE_S * 2)
        self.read()                     # its greeting
        self.call("WebDriver:NewSession", {})
        self.call("Marionette:SetContext", {"value": "chrome"})
        self.call("WebDriver:SetTimeouts", {"script": int(PATIENCE_S * 1000)})
        return self

    def log(self):
        with open(os.path.join(self.top, "thunderbird.log")) as f:
            return f.read()

    def read(self):
        """One message: its length in digits, a colon, JSON."""
        digits = b""
        while not digits.endswith(b":"):
            more = self.sock.recv(1)
            assert more, "Marionette has gone:\n" + self.log()
            digits += more
        want, data = int(digits[:-1]), b""
        while len(data) < want:
            more = self.sock.recv(want - len(data))
            assert more, "Marionette has gone:\n" + self.log()
            data += more
        return json.loads(data)

    def call(self, name, params):
        self.ids += 1
        data = json.dumps([0, self.ids, name, params]).encode()
        self.sock.sendall(b"%d:%s" % (len(data), data))
        _, _, error, result = self.read()
        assert error is None, "%s: %s" % (name, error)
        return result

    def js(self, script, *args):
        """Run the body of an async function; what it returns."""
        result = self.call("WebDriver:ExecuteAsyncScript", {"script": PRELUDE % script, "args": list(args)})["value"]
        assert "error" not in result, "%s\n%s" % (script, result["error"])
        return result["value"]

    def stop(self):
        if self.proc is None:
            return
        try:
            self.call("Marionette:Quit", {"flags": ["eForceQuit"]})
            self.proc.wait(PATIENCE_S)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            os.killpg(self.proc.pid, signal.SIGKILL)
            self.proc.wait()
        self.sock.close()
        self.proc = self.sock = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

"""Libraries that people script mail with: Python's imaplib, Perl's Mail::IMAPClient, imapfilter's Lua."""

import imaplib
import re

from clients import need, read, run, state, write
from harness import message

IMAPFILTER = """
options.timeout = 60
options.subscribe = true
options.starttls = false
options.expunge = true
account = IMAP {{ server = "127.0.0.1", port = {port}, username = "{user}", password = "secret" }}

-- Sort as a user's rules would.
account:create_mailbox("lists/dev")
account:create_mailbox("old")
lists = account.INBOX:contain_subject("[dev]")
account.INBOX:move_messages(account["lists/dev"], lists)
spam = account.INBOX:contain_body("buy now") * account.INBOX:is_unseen()
account.INBOX:delete_messages(spam)
boss = account.INBOX:contain_from("boss@example.org") + account.INBOX:contain_field("X-Priority", "1")
account.INBOX:mark_flagged(boss)
account.INBOX:add_flags({{"$Work"}}, boss)
account.INBOX:copy_messages(account.old, account.INBOX:is_larger(9000))

out = io.open("{top}/out", "w")
exist, recent, unread = account.INBOX:check_status()
out:write("status " .. exist .. " " .. unread .. "\\n")
for _, m in ipairs(account.INBOX:select_all()) do
	mailbox, uid = table.unpack(m)
	out:write("mail " .. mailbox[uid]:fetch_field("Subject") .. " " .. mailbox[uid]:fetch_size() .. "\\n")
end
for _, folder in ipairs({{"", "lists"}}) do
	boxes, folders = account:list_all(folder)
	for _, name in ipairs(boxes) do out:write("box " .. name .. "\\n") end
end
out:close()
account.INBOX:append_message("Subject: appended\\r\\n\\r\\nby a rule\\r\\n", {{"\\\\Seen"}})
"""


def test_imapfilter_sorts(home):
    server, user, top = home
    for text in (message("[dev] patch"), message("cheap", body="please buy now\r\n"),
                 message("raise", From="boss@example.org"), message("urgent", X_Priority="1"),
                 message("large", size=20000), message("plain")):
        server.deliver([user], text)
    rc = write(top + "/filter.lua", IMAPFILTER.format(port=server.port("imap"), user=user, top=top))
    run([need("imapfilter", "imapfilter"), "-c", rc], top)
    there = dict(state(server, user))
    assert sorted(there) == ["appended", "large", "plain", "raise", "urgent"]
    assert there["raise"] == there["urgent"] == ["$Work", "\\Flagged"]
    assert there["appended"] == ["\\Seen"] and there["plain"] == []
    assert [s for s, _ in state(server, user, "lists/dev")] == ["[dev] patch"]
    assert [s for s, _ in state(server, user, "old")] == ["large"]
    out = read(top + "/out")
    assert "status 4 4\n" in out
    assert sorted(re.findall(r"mail Subject: (\S+)", out)) == ["large", "plain", "raise", "urgent"]
    boxes = re.findall(r"(?m)^box (.*)$", out)
    assert {"INBOX", "Sent", "lists", "lists/dev", "old"} <= set(boxes)


PERL = r"""
use strict;
use warnings;
use Mail::IMAPClient;
use IO::Socket::INET;
binmode STDOUT, ':utf8';
my ($port, $user, $path) = @ARGV;
open my $file, "<:raw", $path or die $path;
my $text = do { local $/; <$file> };
my $imap = Mail::IMAPClient->new(Server => '127.0.0.1', Port => $port, User => $user, Password => 'secret',
	Uid => 1, Peek => 1, Ignoresizeerrors => 0) or die "connect: $@";
sub ok { my ($what, $r) = @_; defined $r or die "$what: " . $imap->LastError; return $r }

ok('authenticated', $imap->IsAuthenticated ? 1 : undef);
print "capability ", ($imap->has_capability('IMAP4rev1') ? 1 : 0), "\n";
print "separator ", $imap->separator, "\n";
ok('create', $imap->create('perl/box'));
print "exists ", ($imap->exists('perl/box') ? 1 : 0), "\n";
ok('select', $imap->select('perl/box'));
my $uid = ok('append', $imap->append_string('perl/box', $text, '\\Seen $Perl'));
print "appended $uid\n";
ok('again', $imap->append_string('perl/box', "Subject: two\r\n\r\nsecond\r\n"));
my @all = sort { $a <=> $b } ok('messages', scalar $imap->messages) ? @{ $imap->messages } : ();
print "messages @all\n";
my $back = ok('message_string', $imap->message_string($uid));
print "same ", ($back eq $text ? 1 : 0), "\n";
print "size ", $imap->size($uid), "\n";
print "subject ", $imap->subject($uid), "\n";
print "flags ", join(' ', sort grep { $_ ne '\\Recent' } @{ $imap->flags($uid) }), "\n";
print "search ", join(' ', $imap->search('SUBJECT', \"two")), "\n";
my $env = ok('envelope', $imap->get_envelope($uid));
print "envelope ", $env->subject, " ", $env->from->[0]->mailboxname, "\n";
my $bs = ok('bodystructure', $imap->get_bodystructure($uid));
print "structure ", lc $bs->bodytype, "/", lc $bs->bodysubtype, "\n";
my $h = ok('parse_headers', $imap->parse_headers($uid, 'Subject', 'From'));
print "header $h->{Subject}[0]\n";
ok('flag', $imap->set_flag('Flagged', $uid));
ok('copy', $imap->copy('INBOX', $uid));
ok('move', $imap->move('INBOX', $all[1]));
ok('expunge', $imap->expunge);
print "left ", $imap->message_count, "\n";
ok('rename', $imap->rename('perl/box', 'perl/renamed'));
print "folders ", join(' ', sort grep { /perl/ } $imap->folders), "\n";
ok('close', $imap->select('INBOX'));
ok('idle', my $tag = $imap->idle);
$imap->done($tag);
ok('delete', $imap->delete('perl/renamed'));
print "quota ", defined($imap->getquotaroot('INBOX')) ? "ok" : "no", "\n" if $imap->has_capability('QUOTA');
$imap->logout;
"""


def test_perl_imapclient(home):
    server, user, top = home
    perl = need("perl", "perl")
    text = message("from Perl", size=70000)
    script = write(top + "/client.pl", PERL)
    path = top + "/mail"
    with open(path, "wb") as f:
        f.write(text.encode())
    out = run([perl, script, str(server.port("imap")), user, path], top)
    assert out.splitlines() == [
        "capability 1", "separator /", "exists 1", "appended 1", "messages 1 2", "same 1", "size %d" % len(text),
        "subject from Perl", "flags $Perl \\Seen", "search 2", "envelope from Perl sender", "structure text/plain",
        "header from Perl", "left 1", "folders perl perl/renamed", "quota ok"]
    there = dict(state(server, user))
    assert sorted(there) == ["from Perl", "two"] and "$Perl" in there["from Perl"]


def test_imaplib_every_command(home):
    """The standard library's client, with what it offers."""
    server, user, top = home
    text = message("one", size=100000).encode()
    with server.imap(user, tls=True) as c:
        assert c.state == "AUTH" and "IMAP4REV1" in c.capabilities
        assert c.enable("UTF8=ACCEPT")[0] == "OK"
        assert c.create('"höhe"')[0] == "OK"
        assert c.list('""', '"h*"')[1] == ['(\\HasNoChildren) "/" "höhe"'.encode()]
        # With UTF8=ACCEPT this library puts "UTF8 (" into the message itself: another connection appends, by its
        # name in modified UTF-7.
        with server.imap(user) as other:
            typ, (answer,) = other.append("h&APY-he", "(\\Flagged)", imaplib.Time2Internaldate(1700000000), text)
            assert typ == "OK" and re.search(rb"APPENDUID \d+ 1\]", answer)
        assert c.select('"höhe"') == ("OK", [b"1"])
        typ, data = c.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE BODY[])")
        assert data[0][1] == text and b"RFC822.SIZE %d" % len(text) in data[0][0]
        assert c.search(None, "SUBJECT", "one") == ("OK", [b"1"])
        assert c.store("1", "+FLAGS.SILENT", "($x)")[0] == "OK"
        assert c.copy("1", "INBOX")[0] == "OK" and c.check()[0] == "OK"
        assert c.uid("MOVE", "1", "INBOX")[0] == "OK"
        assert c.select("INBOX") == ("OK", [b"2"])
        assert c.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
        assert c.expunge() == ("OK", [b"1"])
        assert c.noop()[0] == "OK" and c.unselect()[0] == "OK"
        assert c.rename('"höhe"', '"tiefe ü"')[0] == "OK"
        assert c.subscribe('"tiefe ü"')[0] == "OK" and c.lsub('""', '"tiefe*"')[1] != [None]
        assert c.namespace() == ("OK", [b'(("" "/")) NIL NIL'])
        assert c.status("INBOX", "(MESSAGES UIDNEXT)")[1] == [b"INBOX (MESSAGES 1 UIDNEXT 3)"]
        assert c.delete('"tiefe ü"')[0] == "OK"
        assert c.logout()[0] == "BYE"

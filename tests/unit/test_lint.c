/* test_lint - lib/lint: for each code a message that has it, at its line, and its
 * neighbour that has not.
 *
 * The neighbours must be free of every error and warning, so that each row also guards the other
 * codes. All messages are looked at whole, byte by byte and up to every prefix, from a block of
 * their exact size.
 */
#include "unit.h"

#include <stdio.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/lint.h"

#define CRLF "\r\n"
#define DATE "Date: Tue, 17 Nov 2026 10:00:00 +0000" CRLF
#define FROM "From: Anna <anna@example.org>" CRLF
#define ID   "Message-ID: <1@example.org>" CRLF
#define H    DATE FROM ID                       /* lines 1 to 3 */
#define MIME H "MIME-Version: 1.0" CRLF         /* lines 1 to 4 */
#define BODY CRLF "Hello" CRLF
#define TEXT_PART CRLF "part" CRLF
#define MIXED(b) MIME "Content-Type: multipart/mixed; boundary=" b CRLF CRLF    /* lines 1 to 6 */
#define A10 "aaaaaaaaaa"
#define A50 A10 A10 A10 A10 A10
#define A250 A50 A50 A50 A50 A50
#define SIG(tags) "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=k1;" CRLF \
	"\tbh=YWJj; b=YWJj;" tags CRLF
#define SEAL(i, rest) "ARC-Seal: i=" i "; a=rsa-sha256; d=example.org; s=k; b=YWJj; " rest CRLF
#define AMS(i, rest) "ARC-Message-Signature: i=" i "; a=rsa-sha256; d=example.org; s=k;" CRLF \
	" b=YWJj; bh=YWJj; " rest CRLF
#define AAR(i, rest) "ARC-Authentication-Results: i=" i "; " rest CRLF
#define ARC1 SEAL("1", "cv=none") AMS("1", "h=From:To") AAR("1", "mx.example.org; spf=pass")

static const struct row {
	const char  *code;
	struct slice bad;
	uint64_t     line;      /* of the finding */
	struct slice good;
} rows[] = {
	/* lines */
	{ "mbox-from", SLICE_INIT("From anna Tue Nov 17 10:00:00 2026" CRLF H BODY), 1, SLICE_INIT(H BODY) },
	{ "lf-lines", SLICE_INIT("Date: Tue, 17 Nov 2026 10:00:00 +0000\n"), 1, SLICE_INIT(H BODY) },
	{ "bare-lf", SLICE_INIT(H CRLF "a\nb" CRLF), 5, SLICE_INIT(H CRLF "a" CRLF "b" CRLF) },
	{ "bare-lf", SLICE_INIT("Date: Tue, 17 Nov 2026 10:00:00 +0000\nTo: a@b" CRLF), 2, SLICE_INIT(H) },
	{ "bare-cr", SLICE_INIT(H CRLF "a\rb" CRLF), 5, SLICE_INIT(H BODY) },
	{ "bare-cr", SLICE_INIT(H CRLF "a\r"), 5,
	  SLICE_INIT(MIME "Content-Transfer-Encoding: binary" CRLF CRLF "a\rb\0\nc" CRLF) },
	{ "nul", SLICE_INIT(H "Subject: a\0b" CRLF CRLF), 4, SLICE_INIT(H BODY) },
	{ "line-998", SLICE_INIT(H CRLF A250 A250 A250 A10 A10 A50 A50 A50 A50 A10 A10 A10 "12345678" "9" CRLF), 5,
	  SLICE_INIT(H CRLF A250 A250 A250 A10 A10 A50 A50 A50 A50 A10 A10 "12345678" CRLF) },
	{ "line-78", SLICE_INIT(H CRLF A50 A10 A10 "123456789" CRLF), 5, SLICE_INIT(H CRLF A50 A10 A10 "12345678" CRLF) },
	{ "no-line-end", SLICE_INIT(H CRLF "a"), 5, SLICE_INIT(H CRLF "a" CRLF) },
	{ "limit", SLICE_INIT(MIME "Content-Type: text/plain" A50
	  ";a1=1;a2=1;a3=1;a4=1;a5=1;a6=1;a7=1;a8=1;a9=1;b1=1;b2=1;b3=1;b4=1;b5=1;b6=1;b7=1;b8=1;b9=1;c1=1;c2=1;c3=1"
	  ";c4=1;c5=1;c6=1;c7=1;c8=1;c9=1;d1=1;d2=1;d3=1;d4=1;d5=1;d6=1;d7=1;d8=1;d9=1;e1=1;e2=1;e3=1;e4=1;e5=1;e6=1"
	  ";e7=1;e8=1;e9=1;f1=1;f2=1;f3=1;f4=1;f5=1;f6=1;f7=1;f8=1;f9=1;g1=1;g2=1;g3=1;g4=1;g5=1;g6=1;g7=1;g8=1;g9=1"
	  ";h1=1;h2=1;h3=1;h4=1;h5=1;h6=1;h7=1;h8=1;h9=1;i1=1;i2=1;i3=1;i4=1;i5=1;i6=1;i7=1;i8=1;i9=1;j1=1;j2=1;j3=1"
	  ";j4=1;j5=1;j6=1;j7=1;j8=1;j9=1;k1=1;k2=1;k3=1;k4=1;k5=1;k6=1;k7=1;k8=1;k9=1;l1=1;l2=1" CRLF CRLF), 5,
	  SLICE_INIT(MIME "Content-Type: text/plain; a=1" CRLF CRLF) },

	/* header fields */
	{ "utf8-header", SLICE_INIT(H "Subject: caf\xc3\xa9" CRLF CRLF), 4, SLICE_INIT(H "Subject: cafe" CRLF CRLF) },
	{ "8bit-header", SLICE_INIT(H "Subject: caf\xe9" CRLF CRLF), 4,
	  SLICE_INIT(H "Subject: =?iso-8859-1?q?caf=E9?=" CRLF CRLF) },
	{ "field-no-colon", SLICE_INIT(H "Subject" CRLF CRLF), 4, SLICE_INIT(H "Subject:" CRLF CRLF) },
	{ "field-no-colon", SLICE_INIT(H "no colon\r\n : here" CRLF CRLF), 4, SLICE_INIT(H "X: a" CRLF " b:c" CRLF CRLF) },
	{ "field-name", SLICE_INIT(H "X y: a" CRLF CRLF), 4, SLICE_INIT(H "X-y: a" CRLF CRLF) },
	{ "field-name", SLICE_INIT(H "X\x01: a" CRLF CRLF), 4, SLICE_INIT(H "X!: a" CRLF CRLF) },
	{ "space-before-colon", SLICE_INIT(H "Subject : a" CRLF CRLF), 4, SLICE_INIT(H "Subject: a" CRLF CRLF) },
	{ "blank-fold", SLICE_INIT(H "Subject: a" CRLF " \t" CRLF " b" CRLF CRLF), 5,
	  SLICE_INIT(H "Subject: a" CRLF " b" CRLF CRLF) },
	{ "missing-date", SLICE_INIT(FROM ID BODY), 1, SLICE_INIT(H BODY) },
	{ "missing-from", SLICE_INIT(DATE ID BODY), 1, SLICE_INIT(H BODY) },
	{ "missing-from", SLICE_INIT(""), 1, SLICE_INIT(H) },
	{ "missing-sender", SLICE_INIT(DATE ID "From: a@example.org, b@example.org" CRLF BODY), 3,
	  SLICE_INIT(DATE ID "From: a@example.org, b@example.org" CRLF "Sender: a@example.org" CRLF BODY) },
	{ "missing-message-id", SLICE_INIT(DATE FROM BODY), 1, SLICE_INIT(H BODY) },
	{ "duplicate-field", SLICE_INIT(H "date: Tue, 17 Nov 2026 10:00:00 +0000" CRLF BODY), 4, SLICE_INIT(H BODY) },
	{ "duplicate-field", SLICE_INIT(H "Reply-To: a@example.org" CRLF "Reply-To: a@example.org" CRLF BODY), 5,
	  SLICE_INIT(H "Keywords: a" CRLF "Keywords: b, c d" CRLF BODY) },
	{ "duplicate-field", SLICE_INIT(MIXED("b") "--b" CRLF "Content-Type: text/plain" CRLF "Content-Type: text/html"
	  CRLF TEXT_PART "--b--" CRLF), 9, SLICE_INIT(MIXED("b") "--b" CRLF "X: 1" CRLF "X: 2" CRLF TEXT_PART "--b--" CRLF) },
	{ "duplicate-field", SLICE_INIT("Return-Path: <a@b>" CRLF "X: y" CRLF "Return-Path: <a@b>" CRLF H BODY), 3,
	  SLICE_INIT("Return-Path: <a@b>" CRLF "Received: by a; Tue, 17 Nov 2026 10:00:00 +0000" CRLF
	  "Return-Path: <a@b>" CRLF H BODY) },
	{ "empty-field", SLICE_INIT(H "To:" CRLF BODY), 4, SLICE_INIT(H "To: a@example.org" CRLF BODY) },
	{ "empty-field", SLICE_INIT(H "Cc: (nobody)" CRLF BODY), 4, SLICE_INIT(H "To: undisclosed:;" CRLF BODY) },
	{ "bcc-present", SLICE_INIT(H "Bcc: a@example.org" CRLF BODY), 4, SLICE_INIT(H "Cc: a@example.org" CRLF BODY) },
	{ "resent-incomplete", SLICE_INIT(H "Resent-To: a@example.org" CRLF BODY), 4,
	  SLICE_INIT(H "Resent-To: a@example.org" CRLF "Resent-From: b@example.org" CRLF
	  "Resent-Date: 17 Nov 2026 10:00 +0000" CRLF BODY) },
	{ "obsolete", SLICE_INIT(H "To: J. Doe <a@example.org>" CRLF BODY), 4,
	  SLICE_INIT(H "To: \"J. Doe\" <a@example.org>" CRLF BODY) },
	{ "obsolete", SLICE_INIT(H "To: a@example.org,," CRLF " b@example.org" CRLF BODY), 4,
	  SLICE_INIT(H "To: a@example.org," CRLF " b@example.org" CRLF BODY) },
	{ "obsolete", SLICE_INIT(H "To: <@a.example,@b.example:a@example.org>" CRLF BODY), 4,
	  SLICE_INIT(H "To: (x) <a@example.org>" CRLF BODY) },
	{ "obsolete", SLICE_INIT(H "To: a . b@example . org" CRLF BODY), 4,
	  SLICE_INIT(H "To: a.b@example.org (a (nested\\)) comment)" CRLF BODY) },
	{ "obsolete", SLICE_INIT(H "Resent-From: a@example.org" CRLF "Resent-Date: 17 Nov 26 10:00 EST" CRLF BODY), 5,
	  SLICE_INIT(H "Resent-From: a@example.org" CRLF "Resent-Date: 17 Nov 2026 10:00 -0500 (EST)" CRLF BODY) },
	{ "obsolete", SLICE_INIT(H "In-Reply-To: your mail" CRLF BODY), 4, SLICE_INIT(H "In-Reply-To: <1@b>" CRLF BODY) },
	{ "obsolete", SLICE_INIT(H "In-Reply-To: your mail < 1 @example.org>" CRLF BODY), 4,
	  SLICE_INIT(H "In-Reply-To: <1@example.org>" CRLF " <2@[10.0.0.1]>" CRLF BODY) },
	{ "bad-comment", SLICE_INIT(H "To: a@example.org (b" CRLF BODY), 4,
	  SLICE_INIT(H "To: a@example.org (b\\()" CRLF BODY) },
	{ "bad-quoted-string", SLICE_INIT(H "To: \"b <a@example.org>" CRLF BODY), 4,
	  SLICE_INIT(H "To: \"b, \\\"c\" <a@example.org>" CRLF BODY) },
	{ "bad-phrase", SLICE_INIT(H "Keywords: a,, b" CRLF BODY), 4, SLICE_INIT(H "Keywords: a, \"b, c\" d" CRLF BODY) },

	/* dates, addresses, ids, traces */
	{ "bad-date", SLICE_INIT(FROM ID "Date: yesterday" CRLF BODY), 3, SLICE_INIT(H BODY) },
	{ "bad-date", SLICE_INIT(FROM ID "Date: 31 Feb 2026 10:00 +0000" CRLF BODY), 3,
	  SLICE_INIT(FROM ID "Date: 29 Feb 2028 10:00 +0000" CRLF BODY) },
	{ "bad-date", SLICE_INIT(FROM ID "Date: 17 Nov 2026 24:00:00 +0000" CRLF BODY), 3,
	  SLICE_INIT(FROM ID "Date: 17 Nov 2026 23:59:60 +0000" CRLF BODY) },
	{ "bad-date", SLICE_INIT(FROM ID "Date: 17 Nov 2026 10:00:00" CRLF BODY), 3,
	  SLICE_INIT(FROM ID "Date: 17 Nov 2026" CRLF "\t10:00:00 -0000" CRLF BODY) },
	{ "bad-date", SLICE_INIT(FROM ID "Date: 17 Nov 2026 10:00:00 +0000 or so" CRLF BODY), 3, SLICE_INIT(H BODY) },
	{ "date-weekday", SLICE_INIT(FROM ID "Date: Mon, 17 Nov 2026 10:00:00 +0000" CRLF BODY), 3, SLICE_INIT(H BODY) },
	{ "date-weekday", SLICE_INIT(FROM ID "Date: Wed, 31 Dec 1969 10:00:00 +0000" CRLF
	  "Resent-From: a@b" CRLF "Resent-Date: Thu, 31 Dec 1969 10:00:00 +0000" CRLF BODY), 5,
	  SLICE_INIT(FROM ID "Date: Wed, 31 Dec 1969 10:00:00 +0000" CRLF BODY) },
	{ "bad-address", SLICE_INIT(H "To: anna" CRLF BODY), 4, SLICE_INIT(H "To: anna@localhost" CRLF BODY) },
	{ "bad-address", SLICE_INIT(H "To: a@example.org;" CRLF " b@example.org" CRLF BODY), 4,
	  SLICE_INIT(H "To: team: a@example.org, b@example.org; , c@example.org" CRLF BODY) },
	{ "bad-address", SLICE_INIT(H "To: a@example.org," CRLF " b@" CRLF BODY), 5,
	  SLICE_INIT(H "To: a@[127.0.0.1], \"b c\"@example.org" CRLF BODY) },
	{ "bad-address", SLICE_INIT(H "To: a..b@example.org" CRLF BODY), 4, SLICE_INIT(H "To: a.b@example.org" CRLF BODY) },
	{ "bad-address", SLICE_INIT(H "To: <a b@example.org>" CRLF BODY), 4, SLICE_INIT(H "To: a b <a@b>" CRLF BODY) },
	{ "bad-address", SLICE_INIT(H "To: team: a@example.org" CRLF BODY), 4, SLICE_INIT(H "To: t:a@b;" CRLF BODY) },
	{ "bad-address", SLICE_INIT(H "Sender: a@example.org, b@example.org" CRLF BODY), 4,
	  SLICE_INIT(H "Sender: a@example.org" CRLF BODY) },
	{ "bad-address", SLICE_INIT(H "Return-Path: a@example.org" CRLF BODY), 4,
	  SLICE_INIT(H "Return-Path: <>" CRLF BODY) },
	{ "bad-address", SLICE_INIT(H "Return-Path: <a@b> <c@d>" CRLF BODY), 4,
	  SLICE_INIT(H "Return-Path: <a@b> (c)" CRLF BODY) },
	{ "group-in-from", SLICE_INIT(DATE ID "From: team: a@example.org;" CRLF BODY), 3, SLICE_INIT(H BODY) },
	{ "address-long", SLICE_INIT(H "To: " A50 A10 "12345@example.org" CRLF BODY), 4,
	  SLICE_INIT(H "To: " A50 A10 "1234@example.org" CRLF BODY) },
	{ "address-long", SLICE_INIT(H "To: x@" A250 "123456" CRLF BODY), 4, SLICE_INIT(H "To: x@" A250 "12345" CRLF BODY) },
	{ "bad-msg-id", SLICE_INIT(DATE FROM "Message-ID: 1@example.org" CRLF BODY), 3, SLICE_INIT(H BODY) },
	{ "bad-msg-id", SLICE_INIT(DATE FROM "Message-ID: <1>" CRLF BODY), 3, SLICE_INIT(H BODY) },
	{ "bad-msg-id", SLICE_INIT(DATE FROM "Message-ID: <1@a> <2@a>" CRLF BODY), 3, SLICE_INIT(H BODY) },
	{ "bad-msg-id", SLICE_INIT(H "References: <1@a>" CRLF " <2@a>, <3@a>" CRLF BODY), 5,
	  SLICE_INIT(H "References: <1@a>" CRLF " <2@a><3@a>" CRLF BODY) },
	{ "bad-msg-id", SLICE_INIT(DATE FROM "Message-ID: (nothing)" CRLF BODY), 3, SLICE_INIT(H "References:" CRLF BODY) },
	{ "bad-received", SLICE_INIT("Received: by mx.example.org" CRLF H BODY), 1,
	  SLICE_INIT("Received: from a ([10.0.0.1]) by mx.example.org (x) with ESMTP id 1.2" CRLF
	  "\tfor <anna@example.org>; Tue, 17 Nov 2026 10:00:00 +0000 (UTC)" CRLF H BODY) },
	{ "bad-received", SLICE_INIT("Received: by mx.example.org; today" CRLF H BODY), 1, SLICE_INIT(H BODY) },
	{ "received-by", SLICE_INIT("Received: from a; Tue, 17 Nov 2026 10:00:00 +0000" CRLF H BODY), 1,
	  SLICE_INIT("Received: by a; Tue, 17 Nov 2026 10:00:00 +0000" CRLF
	  "Received: (qmail 17 invoked by uid 0); Tue, 17 Nov 2026 10:00:00 +0000" CRLF H BODY) },

	/* encoded-words */
	{ "word-syntax", SLICE_INIT(H "Subject: =?utf-8?x?a?=" CRLF BODY), 4,
	  SLICE_INIT(H "Subject: =?utf-8*en?Q?a?= =a?" CRLF BODY) },
	{ "word-syntax", SLICE_INIT(H "Subject: x=?a?b" CRLF BODY), 4,
	  SLICE_INIT(H "Subject: 1+1=? or =?= or =??a?b?= or a=?b.c?d" CRLF BODY) },
	{ "word-charset", SLICE_INIT(H "Subject: =?martian?q?a?=" CRLF BODY), 4,
	  SLICE_INIT(H "Subject: =?iso-2022-jp?b?YWJj?=" CRLF BODY) },
	{ "word-long", SLICE_INIT(H "Subject: =?utf-8?q?" A50 "12345678901234?=" CRLF BODY), 4,
	  SLICE_INIT(H "Subject:" CRLF " =?utf-8?q?" A50 "1234567890123?=" CRLF BODY) },
	{ "word-line", SLICE_INIT(H "Subject: " A50 A10 " =?utf-8?q?abc?=" CRLF BODY), 4,
	  SLICE_INIT(H "Subject: " A50 CRLF " =?utf-8?q?abc?=" CRLF BODY) },
	{ "word-text", SLICE_INIT(H "Subject: =?utf-8?b?YWJ?=" CRLF BODY), 4,
	  SLICE_INIT(H "Subject: =?utf-8?b?YWI=?=" CRLF BODY) },
	{ "word-text", SLICE_INIT(H "Subject: =?utf-8?q?a=2?=" CRLF BODY), 4,
	  SLICE_INIT(H "Subject: =?utf-8?q?a=2C!?=" CRLF BODY) },
	{ "word-text", SLICE_INIT(H "To: =?utf-8?q?a#b?= <a@b>" CRLF BODY), 4,
	  SLICE_INIT(H "To: =?utf-8?q?a=23b?= <a@b>" CRLF BODY) },
	{ "word-split", SLICE_INIT(H "Subject: =?utf-8?q?caf=C3?= =?utf-8?q?=A9?=" CRLF BODY), 4,
	  SLICE_INIT(H "Subject: =?utf-8?q?caf=C3=A9?=" CRLF BODY) },
	{ "word-place", SLICE_INIT(H "To: =?utf-8?q?a?=@example.org" CRLF BODY), 4,
	  SLICE_INIT(H "To: (=?utf-8?q?a?=) a@example.org" CRLF BODY) },
	{ "word-place", SLICE_INIT(H "References: <=?utf-8?q?a?=@example.org>" CRLF BODY), 4, SLICE_INIT(H BODY) },
	{ "word-quoted", SLICE_INIT(H "To: \"=?utf-8?q?a?=\" <a@b>" CRLF BODY), 4,
	  SLICE_INIT(H "To: =?utf-8?q?a?= \"b\" <a@b>" CRLF BODY) },
	{ "word-parameter", SLICE_INIT(MIME "Content-Disposition: inline; filename=\"=?utf-8?q?a?=\"" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Disposition: inline; filename*=utf-8'en'a%20b" CRLF BODY) },
	{ "word-separator", SLICE_INIT(H "Subject: re:=?utf-8?q?a?=" CRLF BODY), 4,
	  SLICE_INIT(H "Subject: re: =?utf-8?q?a?=" CRLF BODY) },

	/* MIME header fields */
	{ "missing-mime-version", SLICE_INIT(H "Content-Type: text/plain" CRLF BODY), 1,
	  SLICE_INIT(MIME "Content-Type: text/plain" CRLF BODY) },
	{ "bad-mime-version", SLICE_INIT(H "MIME-Version: 1.1" CRLF BODY), 4,
	  SLICE_INIT(H "MIME-Version: 1 . (x) 0" CRLF BODY) },
	{ "bad-content-type", SLICE_INIT(MIME "Content-Type: text" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Type: Text/Plain (really)" CRLF BODY) },
	{ "bad-disposition", SLICE_INIT(MIME "Content-Disposition: ; filename=a" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Disposition: attachment; filename=a" CRLF BODY) },
	{ "bad-parameter", SLICE_INIT(MIME "Content-Type: text/plain;" CRLF " name=a b.txt" CRLF BODY), 6,
	  SLICE_INIT(MIME "Content-Type: text/plain; name=\"a b.txt\"" CRLF BODY) },
	{ "bad-parameter", SLICE_INIT(MIME "Content-Type: text/plain; charset=utf-8;" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Type: text/plain; charset=utf-8 (x)" CRLF BODY) },
	{ "bad-parameter", SLICE_INIT(MIME "Content-Type: text/plain; name; charset=utf-8" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Type: text/plain; charset=utf-8" CRLF BODY) },
	{ "bad-parameter", SLICE_INIT(MIME "Content-Type: text/plain; name=a@b" CRLF BODY), 5, SLICE_INIT(H BODY) },
	{ "duplicate-parameter", SLICE_INIT(MIME "Content-Type: text/plain; a=1; A=2" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Type: text/plain; a=1; a*=utf-8''2" CRLF BODY) },
	{ "duplicate-parameter", SLICE_INIT(MIME "Content-Type: text/plain; a*0=1; a*0*=utf-8''2" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Type: text/plain; a*0*=utf-8''2; a*1=3" CRLF BODY) },
	{ "parameter-pieces", SLICE_INIT(MIME "Content-Type: text/plain; a*0=1; a*2=2" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Type: text/plain; a*1=1; a*0=2" CRLF BODY) },
	{ "parameter-pieces", SLICE_INIT(MIME "Content-Type: text/plain; a*=1" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Type: text/plain; a*=''1" CRLF BODY) },
	{ "parameter-pieces", SLICE_INIT(MIME "Content-Type: text/plain; a*=utf-8''%4" CRLF BODY), 5, SLICE_INIT(H BODY) },
	{ "parameter-pieces", SLICE_INIT(MIME "Content-Type: text/plain; a*=\"utf-8''4\"" CRLF BODY), 5,
	  SLICE_INIT(H BODY) },
	{ "unknown-charset", SLICE_INIT(MIME "Content-Type: text/plain; charset=martian" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Type: text/plain; charset=\"iso-8859-1\"" CRLF BODY) },
	{ "unknown-encoding", SLICE_INIT(MIME "Content-Transfer-Encoding: x-own" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Transfer-Encoding: Quoted-Printable (x)" CRLF BODY) },
	{ "unknown-encoding", SLICE_INIT(MIME "Content-Transfer-Encoding: 8 bit" CRLF BODY), 5,
	  SLICE_INIT(MIME "Content-Transfer-Encoding: 8bit" CRLF BODY) },
	{ "encoding-composite", SLICE_INIT(MIME "Content-Transfer-Encoding: base64" CRLF
	  "Content-Type: message/rfc822" CRLF CRLF "Subject: x" CRLF CRLF), 5,
	  SLICE_INIT(MIME "Content-Transfer-Encoding: 7bit" CRLF "Content-Type: message/rfc822" CRLF CRLF "Subject: x"
	  CRLF CRLF) },
	{ "encoding-outer", SLICE_INIT(MIXED("b") "--b" CRLF "Content-Transfer-Encoding: 8bit" CRLF TEXT_PART "--b--" CRLF),
	  8, SLICE_INIT(MIME "Content-Transfer-Encoding: 8bit" CRLF "Content-Type: multipart/mixed; boundary=b" CRLF CRLF
	  "--b" CRLF "Content-Transfer-Encoding: 8bit" CRLF TEXT_PART "--b--" CRLF) },

	/* MIME structure */
	{ "boundary-missing", SLICE_INIT(MIME "Content-Type: multipart/mixed" CRLF BODY), 5,
	  SLICE_INIT(MIXED("b") "--b" CRLF TEXT_PART "--b--" CRLF) },
	{ "boundary-long", SLICE_INIT(MIXED(A50 A10 "12345678901") "--" A50 A10 "12345678901" CRLF TEXT_PART
	  "--" A50 A10 "12345678901--" CRLF), 5,
	  SLICE_INIT(MIXED(A50 A10 "1234567890") "--" A50 A10 "1234567890" CRLF TEXT_PART
	  "--" A50 A10 "1234567890--" CRLF) },
	{ "boundary-chars", SLICE_INIT(MIXED("a!b") "--a!b" CRLF TEXT_PART "--a!b--" CRLF), 5,
	  SLICE_INIT(MIXED("\"a'b (=?\\:\"") "--a'b (=?:" CRLF TEXT_PART "--a'b (=?:--" CRLF) },
	{ "boundary-reused", SLICE_INIT(MIXED("b") "--b" CRLF "Content-Type: multipart/mixed; boundary=b" CRLF TEXT_PART
	  "--b--" CRLF), 8, SLICE_INIT(MIXED("b") "--b" CRLF "Content-Type: multipart/mixed; boundary=c" CRLF CRLF
	  "--c" CRLF TEXT_PART "--c--" CRLF "--b--" CRLF) },
	{ "boundary-prefix", SLICE_INIT(MIXED("b") "--b" CRLF "Content-Type: multipart/mixed; boundary=bc" CRLF CRLF
	  "--bc" CRLF TEXT_PART "--bc--" CRLF "--b--" CRLF), 8,
	  SLICE_INIT(MIXED("bc") "--bc" CRLF "Content-Type: multipart/mixed; boundary=b" CRLF CRLF
	  "--b" CRLF TEXT_PART "--b--" CRLF "--bc--" CRLF) },
	{ "boundary-prefix", SLICE_INIT(MIXED("b") "--b" CRLF CRLF "--by" CRLF "--b--" CRLF), 9,
	  SLICE_INIT(MIXED("b") "--b \t" CRLF CRLF "-- b" CRLF "--b--  " CRLF) },
	{ "boundary-unclosed", SLICE_INIT(MIXED("b") "--b" CRLF TEXT_PART), 5,
	  SLICE_INIT(MIXED("b") "--b" CRLF TEXT_PART "--b--") },
	{ "boundary-unclosed", SLICE_INIT(MIXED("b") "--b" CRLF "Content-Type: multipart/mixed; boundary=c" CRLF CRLF
	  "--c" CRLF TEXT_PART "--b--" CRLF), 8, SLICE_INIT(MIXED("b") "--b" CRLF TEXT_PART "--b--" CRLF "x" CRLF) },
	{ "boundary-after-end", SLICE_INIT(MIXED("b") "--b" CRLF TEXT_PART "--b--" CRLF "--b" CRLF TEXT_PART), 11,
	  SLICE_INIT(MIXED("b") "--b" CRLF TEXT_PART "--b--" CRLF "-- b" CRLF) },
	{ "no-parts", SLICE_INIT(MIXED("b") "text" CRLF), 5, SLICE_INIT(MIXED("b") "text" CRLF "--b" CRLF CRLF "--b--" CRLF) },
	{ "no-parts", SLICE_INIT(MIXED("b") "--b--" CRLF), 7, SLICE_INIT(MIXED("b") "--b" CRLF "--b--" CRLF) },
	{ "embedded-header", SLICE_INIT(MIME "Content-Type: message/rfc822" CRLF CRLF "To: a@b" CRLF CRLF), 7,
	  SLICE_INIT(MIME "Content-Type: message/rfc822" CRLF CRLF "Subject: a" CRLF CRLF) },
	{ "embedded-header", SLICE_INIT(MIME "Content-Type: multipart/digest; boundary=b" CRLF CRLF "--b" CRLF CRLF "X: y"
	  CRLF CRLF "--b--" CRLF), 9, SLICE_INIT(MIME "Content-Type: multipart/digest; boundary=b" CRLF CRLF "--b" CRLF CRLF
	  "From: a@b" CRLF CRLF "--b--" CRLF) },

	/* bodies */
	{ "8bit-body", SLICE_INIT(H CRLF "caf\xc3\xa9" CRLF), 5,
	  SLICE_INIT(MIME "Content-Type: text/plain; charset=utf-8" CRLF "Content-Transfer-Encoding: 8bit" CRLF CRLF
	  "caf\xc3\xa9" CRLF) },
	{ "8bit-body", SLICE_INIT(MIXED("b") "caf\xc3\xa9" CRLF "--b" CRLF TEXT_PART "--b--" CRLF), 7, SLICE_INIT(H BODY) },
	{ "8bit-charset", SLICE_INIT(MIME "Content-Type: text/plain" CRLF "Content-Transfer-Encoding: 8bit" CRLF CRLF
	  "caf\xc3\xa9" CRLF), 8,
	  SLICE_INIT(MIME "Content-Type: image/x" CRLF "Content-Transfer-Encoding: 8bit" CRLF CRLF "caf\xc3\xa9" CRLF) },
#define B64 MIME "Content-Transfer-Encoding: base64" CRLF CRLF       /* lines 1 to 6 */
	{ "base64-char", SLICE_INIT(B64 "YW*Jj" CRLF), 7, SLICE_INIT(B64 "YWJj" CRLF "YWJj" CRLF CRLF) },
	{ "base64-line", SLICE_INIT(B64 A50 A10 A10 "12345678" CRLF "aa" CRLF), 7,
	  SLICE_INIT(B64 A50 A10 A10 "123456" CRLF) },
	{ "base64-padding", SLICE_INIT(B64 "YQ==" CRLF "YQ==" CRLF), 8, SLICE_INIT(B64 "YWE=" CRLF) },
	{ "base64-padding", SLICE_INIT(B64 "YWE==" CRLF), 7, SLICE_INIT(B64 "YQ==" CRLF) },
	{ "base64-end", SLICE_INIT(B64 "YWE" CRLF), 7, SLICE_INIT(B64 "YWE=" CRLF) },
	{ "base64-end", SLICE_INIT(B64 "YWJjZ" CRLF), 7, SLICE_INIT(B64) },
#define QP MIME "Content-Transfer-Encoding: quoted-printable" CRLF CRLF
	{ "qp-escape", SLICE_INIT(QP "a=b" CRLF), 7, SLICE_INIT(QP "a=3Db=" CRLF "c= " CRLF "." CRLF) },
	{ "qp-escape", SLICE_INIT(QP "a=4" CRLF), 7, SLICE_INIT(QP "a=41" CRLF) },
	{ "qp-lower", SLICE_INIT(QP "a=3d" CRLF), 7, SLICE_INIT(QP "a=3D" CRLF) },
	{ "qp-line", SLICE_INIT(QP A50 A10 A10 "1234567" CRLF), 7, SLICE_INIT(QP A50 A10 A10 "12345=" CRLF "x" CRLF) },
	{ "qp-space", SLICE_INIT(QP "a " CRLF), 7, SLICE_INIT(QP "a=20" CRLF " b" CRLF) },
	{ "qp-raw", SLICE_INIT(QP "caf\xc3\xa9" CRLF), 7, SLICE_INIT(QP "caf=C3=A9\tb" CRLF) },

	/* mailing lists */
	{ "bad-list-id", SLICE_INIT(H "List-Id: <nodots>" CRLF BODY), 4,
	  SLICE_INIT(H "List-Id: \"A list\" of ours <a.lists.example.org>" CRLF BODY) },
	{ "bad-list-id", SLICE_INIT(H "List-Id: a.lists.example.org" CRLF BODY), 4, SLICE_INIT(H BODY) },
	{ "bad-list-field", SLICE_INIT(H "List-Help: http://example.org/" CRLF BODY), 4,
	  SLICE_INIT(H "List-Help: <http://example.org/>, (or)" CRLF " <mailto:help@example.org>" CRLF BODY) },
	{ "bad-list-field", SLICE_INIT(H "List-Archive: <example.org>" CRLF BODY), 4,
	  SLICE_INIT(H "List-Post: NO (closed)" CRLF BODY) },
	{ "bad-list-field", SLICE_INIT(H "List-Owner: <mailto:a b>" CRLF BODY), 4, SLICE_INIT(H BODY) },
	{ "bad-list-field", SLICE_INIT(H "List-Owner: <mailto:a@b> <mailto:b@b>" CRLF BODY), 4, SLICE_INIT(H BODY) },
#define POST "List-Unsubscribe-Post: List-Unsubscribe=One-Click" CRLF
#define UNSUB "List-Unsubscribe: <mailto:u@example.org>, <https://example.org/u>" CRLF
#define SIG_UNSUB SIG(" h=From:List-Unsubscribe : list-unsubscribe-post")
	{ "unsubscribe-post", SLICE_INIT(H UNSUB "List-Unsubscribe-Post: yes" CRLF BODY), 5,
	  SLICE_INIT(H SIG_UNSUB UNSUB POST BODY) },
	{ "unsubscribe-https", SLICE_INIT(H "List-Unsubscribe: <http://example.org/u>" CRLF POST BODY), 5,
	  SLICE_INIT(H SIG_UNSUB UNSUB POST BODY) },
	{ "unsubscribe-dkim", SLICE_INIT(H SIG(" h=From:List-Unsubscribe") UNSUB POST BODY), 7, SLICE_INIT(H UNSUB BODY) },

	/* authentication */
	{ "dkim-syntax", SLICE_INIT("DKIM-Signature: v=1; rubbish" CRLF H BODY), 1,
	  SLICE_INIT(SIG(" h=From:Subject") H BODY) },
	{ "dkim-missing-tag", SLICE_INIT("DKIM-Signature: v=1; a=rsa-sha256; b=YWJj; bh=YWJj; h=From; s=a" CRLF H BODY), 1,
	  SLICE_INIT(SIG("h=from;c=relaxed/simple;i=@mail.example.org;t=5;x=6;") H BODY) },
	{ "dkim-duplicate-tag", SLICE_INIT(SIG("h=From; v=1") H BODY), 2, SLICE_INIT(SIG("h=From; V=1") H BODY) },
	{ "dkim-value", SLICE_INIT(SIG("h=From; c=other") H BODY), 2, SLICE_INIT(SIG("h=From; c=relaxed") H BODY) },
	{ "dkim-value", SLICE_INIT(SIG("h=From; i=a@other.org") H BODY), 2, SLICE_INIT(SIG("h=From; i=a@example.org") H BODY) },
	{ "dkim-value", SLICE_INIT(SIG("h=From; i=@badexample.org") H BODY), 2, SLICE_INIT(H BODY) },
	{ "dkim-value", SLICE_INIT(SIG("h=From; t=6; x=5") H BODY), 2, SLICE_INIT(SIG("h=From; x=5") H BODY) },
	{ "dkim-value", SLICE_INIT("DKIM-Signature: v=1; a=rsa-sha256; b=YW; bh=YWJj; h=From; s=a; d=b" CRLF H BODY), 1,
	  SLICE_INIT("DKIM-Signature: v=1; a=rsa-sha256; b=YW" CRLF "\tJj; bh=YWJj; h=From; s=a; d=b" CRLF H BODY) },
	{ "dkim-from", SLICE_INIT(SIG("h=To:Subject") H BODY), 2, SLICE_INIT(SIG("h=To:" CRLF " FROM") H BODY) },
	{ "dkim-length", SLICE_INIT(SIG("h=From; l=10") H BODY), 2, SLICE_INIT(SIG("h=From") H BODY) },
	{ "dkim-sha1", SLICE_INIT("DKIM-Signature: v=1; a=rsa-sha1; b=YWJj; bh=YWJj; h=From; s=a; d=b" CRLF H BODY), 1,
	  SLICE_INIT("DKIM-Signature: v=1; a=ed25519-sha256; b=YWJj; bh=YWJj; h=From; s=a; d=b" CRLF H BODY) },
	{ "arc-tag", SLICE_INIT(SEAL("0", "cv=none") H BODY), 1, SLICE_INIT(ARC1 H BODY) },
	{ "arc-tag", SLICE_INIT(SEAL("1", "cv=pass") AMS("1", "h=From") AAR("1", "a; none") H BODY), 1,
	  SLICE_INIT(SEAL("1", "cv=none") AMS("1", "h=From") AAR("1", "a; none") H BODY) },
	{ "arc-tag", SLICE_INIT(SEAL("1", "cv=none; h=From") AMS("1", "h=From") AAR("1", "a; none") H BODY), 1,
	  SLICE_INIT(H BODY) },
	{ "arc-tag", SLICE_INIT(SEAL("1", "cv=none") AMS("1", "h=From") AAR("1", "a; spf") H BODY), 4, SLICE_INIT(H BODY) },
	{ "arc-set", SLICE_INIT(SEAL("1", "cv=none") AMS("1", "h=From") H BODY), 1, SLICE_INIT(ARC1 H BODY) },
	{ "arc-set", SLICE_INIT(ARC1 ARC1 H BODY), 5,
	  SLICE_INIT(SEAL("2", "cv=pass") AMS("2", "h=From") AAR("2", "a; none") ARC1 H BODY) },
	{ "arc-set", SLICE_INIT(SEAL("2", "cv=pass") AMS("2", "h=From") AAR("2", "a; none") H BODY), 1, SLICE_INIT(H BODY) },
	{ "bad-auth-results", SLICE_INIT("Authentication-Results: mx.example.org" CRLF H BODY), 1,
	  SLICE_INIT("Authentication-Results: mx.example.org 1; none" CRLF H BODY) },
	{ "bad-auth-results", SLICE_INIT("Authentication-Results: mx.example.org; dkim" CRLF H BODY), 1,
	  SLICE_INIT("Authentication-Results: mx.example.org;" CRLF
	  "\tdkim=pass (good) reason=\"as said\" header.d=example.org header.i=@example.org;" CRLF
	  "\tspf/1=fail smtp.mailfrom=a@example.org" CRLF H BODY) },
	{ "bad-auth-results", SLICE_INIT("Authentication-Results: a; none; spf=pass" CRLF H BODY), 1, SLICE_INIT(H BODY) },
	{ "bad-auth-results", SLICE_INIT("Authentication-Results: a; spf=pass mailfrom=b" CRLF H BODY), 1,
	  SLICE_INIT(H BODY) },
};

/* ---- running ---- */

struct seen {
	const char *code;               /* looked for */
	uint64_t    line;               /* of its first finding; 0: none */
	uint64_t    last;               /* line of the last finding of all */
	bool        disorder;
	struct buf  text;
};

static void
on_found(void *arg, const struct lint_finding *f)
{
	struct seen *s = arg;

	buf_printf(&s->text, "%llu %s %.*s\n", (unsigned long long)f->line, f->code->name,
	           SLICE_ARG(f->text));
	for (size_t i = 0; i < f->text.len; i++)
		assert_true(f->text.ptr[i] >= ' ' && f->text.ptr[i] < 0x7f);
	s->disorder = s->disorder || f->line < s->last;
	s->last = f->line;
	if (s->line == 0 && s->code != NULL && strcmp(f->code->name, s->code) == 0)
		s->line = f->line;
}

static void
seen_init(struct seen *s, const char *code)
{
	*s = (struct seen){ .code = code };
	buf_init(&s->text, 1u << 24);
}

/* step 0: whole */
static uint64_t
run(struct slice message, size_t step, struct seen *s)
{
	struct lint *l = lint_new();
	struct slice in = unit_copy(message);
	uint64_t bad;

	assert_non_null(l);
	for (size_t at = 0; at < in.len; at += step > 0 ? step : in.len)
		lint_feed(l, slice_sub(in, at, step > 0 ? at + step : in.len));
	assert_true(lint_finish(l, on_found, s));
	assert_false(s->disorder);
	bad = lint_count(l, LINT_ERROR) + lint_count(l, LINT_WARNING);
	lint_free(&l);
	assert_null(l);
	unit_drop(in);
	return bad;
}

/* Fed in pieces of one, three and seven bytes it is all the same. */
static void
check_split(struct slice message)
{
	struct seen whole;

	seen_init(&whole, NULL);
	run(message, 0, &whole);
	for (size_t step = 1; step < 8; step += step == 1 ? 2 : 4) {
		struct seen pieces;

		seen_init(&pieces, NULL);
		run(message, step, &pieces);
		assert_int_equal(whole.text.len, pieces.text.len);
		if (whole.text.len > 0)
			assert_memory_equal(whole.text.ptr, pieces.text.ptr, whole.text.len);
		buf_fini(&pieces.text);
	}
	buf_fini(&whole.text);
}

static void
test_bad(void **state)
{
	const struct row *r = *state;
	struct seen s;

	seen_init(&s, r->code);
	run(r->bad, 0, &s);
	if (s.line != r->line)
		print_error("%.*s", SLICE_ARG(buf_slice(&s.text)));
	assert_int_equal(s.line, r->line);
	buf_fini(&s.text);
	check_split(r->bad);
	for (size_t cut = 0; cut < r->bad.len; cut++) {
		seen_init(&s, NULL);
		run(slice_sub(r->bad, 0, cut), 0, &s);
		buf_fini(&s.text);
	}
}

static void
test_good(void **state)
{
	const struct row *r = *state;
	struct seen s;
	uint64_t bad;

	seen_init(&s, r->code);
	bad = run(r->good, 0, &s);
	if (s.line != 0 || bad != 0)
		print_error("%.*s", SLICE_ARG(buf_slice(&s.text)));
	assert_int_equal(s.line, 0);
	assert_int_equal(bad, 0);
	buf_fini(&s.text);
	check_split(r->good);
}

/* Every code has a row here and an entry in the manual. */
static void
test_all_codes(void **state)
{
	FILE *f = fopen(UNIT_SRCDIR "/doc/restantectl.8", "r");
	struct buf manual;
	char chunk[4096], entry[80];
	size_t n;

	(void)state;
	assert_non_null(f);
	buf_init(&manual, 1u << 22);
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		assert_true(buf_append(&manual, chunk, n));
	fclose(f);
	for (size_t i = 0; lint_code_at(i) != NULL; i++) {
		const char *name = lint_code_at(i)->name;
		size_t found = 0;

		for (size_t k = 0; k < UNIT_COUNT(rows); k++)
			found += strcmp(rows[k].code, name) == 0;
		if (found == 0)
			fail_msg("no row for %s", name);
		snprintf(entry, sizeof entry, "\n.It Cm %s\n", name);
		if (slice_find(buf_slice(&manual), slice_str(entry)) == manual.len)
			fail_msg("restantectl.8 says nothing of %s", name);
	}
	buf_fini(&manual);
}

/* ---- limits ---- */

static void
test_many_findings(void **state)
{
	struct lint *l = lint_new();
	struct seen s;
	size_t lines = 0;

	(void)state;
	seen_init(&s, "bare-cr");
	lint_feed(l, SLICE(H CRLF));
	for (unsigned i = 0; i < 1000; i++)
		lint_feed(l, SLICE("a\rb" CRLF));
	assert_true(lint_finish(l, on_found, &s));
	assert_int_equal(lint_count(l, LINT_ERROR), 1000);
	for (size_t i = 0; i < s.text.len; i++)
		lines += s.text.ptr[i] == '\n';
	assert_int_equal(lines, LINT_TOLD_MAX + 1);
	assert_true(slice_find(buf_slice(&s.text), SLICE("1004 bare-cr 980 more like this")) <
	            s.text.len);
	buf_fini(&s.text);
	lint_free(&l);
}

/* Processor time, so that a busy machine does not count. */
static double
seconds(const char *head, const char *unit, size_t times, const char *tail)
{
	struct lint *l = lint_new();
	clock_t from = clock();
	struct seen s;

	seen_init(&s, NULL);
	lint_feed(l, SLICE(MIME));
	lint_feed(l, slice_str(head));
	for (size_t i = 0; i < times; i++)
		lint_feed(l, slice_str(unit));
	lint_feed(l, slice_str(tail));
	assert_true(lint_finish(l, on_found, &s));
	assert_true(s.text.len < 1u << 20);
	buf_fini(&s.text);
	lint_free(&l);
	return (double)(clock() - from) / CLOCKS_PER_SEC;
}

static const struct attack {
	const char *name, *head, *unit;
	size_t      times;
	const char *tail;
} attacks[] = {
	{ "a line of 4 MiB", CRLF, A50, 80000, CRLF },
	{ "addresses", "To: a@b", ",\r\n a@b", 100000, CRLF CRLF },
	{ "bad addresses", "To: a@b", ", \"a@\r\n", 100000, CRLF CRLF },
	{ "comments", "To: ", "(", 1000000, CRLF CRLF },
	{ "quotes", "To: ", "\"\\", 500000, CRLF CRLF },
	{ "encoded-words", "Subject: ", "=?", 500000, CRLF CRLF },
	{ "encoded-words between question marks", "To: ", "=?a?", 250000, CRLF CRLF },
	{ "parameters", "Content-Type: text/plain", "; a*1=1", 140000, CRLF CRLF },
	{ "ids", "References: ", "<a@b ", 200000, CRLF CRLF },
	{ "tags", "DKIM-Signature: ", "a=b;", 250000, CRLF CRLF },
	{ "results", "Authentication-Results: a", ";spf=pass", 100000, CRLF CRLF },
	{ "URIs", "List-Help: ", "<a:b>,", 160000, CRLF CRLF },
	{ "parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\nx\r\n", 100000, "--b--\r\n" },
	{ "messages within", "", "Content-Type: message/rfc822\r\n\r\n", 30000, "x" },
	{ "delimiters that are none", "Content-Type: multipart/mixed; boundary=" A50 "\r\n\r\n", "--" A50, 20000, CRLF },
	{ "fields without end", "", "X: y\r\n", 200000, CRLF },
};

/* Four times the input may cost four times the time, and some noise: not sixteen times. */
static void
test_attack(void **state)
{
	const struct attack *a = *state;
	double quarter = seconds(a->head, a->unit, a->times / 4, a->tail);
	double whole = seconds(a->head, a->unit, a->times, a->tail);

	if (whole > 0.25 && whole > 9 * quarter)
		fail_msg("%s: %.3f s, a quarter of it %.3f s", a->name, whole, quarter);
}

int
main(void)
{
	struct CMUnitTest tests[2 * UNIT_COUNT(rows) + UNIT_COUNT(attacks) + 2];
	static char names[2 * UNIT_COUNT(rows)][64];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		snprintf(names[n], sizeof names[n], "%s %zu", rows[i].code, i);
		tests[n] = (struct CMUnitTest){ names[n], test_bad, NULL, NULL,
		                                (void *)(uintptr_t)&rows[i] };
		n++;
		snprintf(names[n], sizeof names[n], "%s %zu not", rows[i].code, i);
		tests[n] = (struct CMUnitTest){ names[n], test_good, NULL, NULL,
		                                (void *)(uintptr_t)&rows[i] };
		n++;
	}
	for (size_t i = 0; i < UNIT_COUNT(attacks); i++)
		tests[n++] = (struct CMUnitTest){ attacks[i].name, test_attack, NULL, NULL,
		                                  (void *)(uintptr_t)&attacks[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_all_codes);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_many_findings);
	return _cmocka_run_group_tests("lint", tests, n, NULL, NULL);
}

/* dictionary - the preset dictionaries, by id. What is most likely stands last, where distances are shortest.
 *
 * They hold field names and common values, no person's data. A shipped one is never changed: a test pins its sum.
 */
#include "store/codec.h"

static const struct slice header = SLICE_INIT(
	"Mon, 01 Jan 2024 Tue, 02 Feb 2025 Wed, 03 Mar 2026 Thu, 04 Apr 2027 Fri, 05 May 2028 Sat, 06 Jun 2029 Sun, 07 Jul "
	"08 Aug 09 Sep 10 Oct 11 Nov 12 Dec 00:00:00 +0000 (UTC)\r\n -0800 (PST)\r\n -0700 (PDT)\r\n -0500 (EST)\r\n"
	" +0100 (CET)\r\n +0200 (CEST)\r\n GMT\r\n"
	"X-Spam-Checker-Version: SpamAssassin 3.4.6\r\nX-Spam-Level: ***\r\nX-Spam-Status: No, score=-1.9 required=5.0 tests="
	"BAYES_00,DKIM_SIGNED,\r\n\tDKIM_VALID,DKIM_VALID_AU,DKIM_VALID_EF,HTML_MESSAGE,MAILING_LIST_MULTI,RCVD_IN_DNSWL_NONE,"
	"\r\n\tSPF_HELO_NONE,SPF_PASS,URIBL_BLOCKED autolearn=ham autolearn_force=no version=\r\nX-Spam-Score: X-Spam-Flag: NO\r\n"
	"X-Virus-Scanned: clamav-milter amavisd-new at \r\nX-Rspamd-Server: X-Rspamd-Queue-Id: X-Rspamd-Action: no action\r\n"
	"X-Spamd-Result: default: False [-R_SPF_ALLOW R_DKIM_ALLOW DMARC_POLICY_ALLOW ARC_NA MIME_GOOD RCPT_COUNT_ONE\r\n"
	"X-MS-Has-Attach: yes\r\nX-MS-TNEF-Correlator: X-MS-Exchange-Organization-SCL: -1\r\n"
	"X-MS-Exchange-CrossTenant-AuthSource: X-MS-Exchange-CrossTenant-OriginalArrivalTime: "
	"X-MS-Exchange-CrossTenant-FromEntityHeader: Hosted\r\nX-MS-Exchange-CrossTenant-Id: "
	"X-MS-Exchange-CrossTenant-Network-Message-Id: X-MS-Exchange-Transport-CrossTenantHeadersStamped: "
	"X-MS-Exchange-AntiSpam-MessageData-0: X-MS-PublicTrafficType: Email\r\nX-MS-Office365-Filtering-Correlation-Id: "
	"X-Microsoft-Antispam: BCL:0;\r\nX-Forefront-Antispam-Report: CIP:255.255.255.255;CTRY:;LANG:en;SCL:1;SRV:;IPV:NLI;SFV:NSPM;"
	"\r\nThread-Topic: \r\nThread-Index: \r\nAccept-Language: en-US, de-DE\r\nContent-Language: en-US\r\n"
	"X-Google-DKIM-Signature: X-Google-Smtp-Source: X-Gm-Message-State: X-Received: by 2002:a05: with SMTP id "
	"; \r\n        Precedence: bulk\r\nPrecedence: list\r\nAuto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
	"X-Priority: 3\r\nX-MSMail-Priority: Normal\r\nImportance: Normal\r\nX-MimeOLE: Organization: "
	"X-Mailer: Microsoft Outlook 16.0\r\nX-Mailer: iPhone Mail\r\nX-Mailer: Apple Mail\r\nX-Mailer: git-send-email\r\n"
	"X-Mailer: PHPMailer\r\nX-Originating-IP: [\r\nUser-Agent: Mutt/\r\nUser-Agent: Mozilla Thunderbird\r\nUser-Agent: Mozilla/5.0 "
	"(X11; Linux x86_64; rv:102.0) Gecko/20100101 Thunderbird/102.0\r\nFeedback-ID: X-CSA-Complaints: X-SG-EID: "
	"X-SES-Outgoing: X-Mailgun-Sid: X-Report-Abuse: X-Campaign: Errors-To: X-BeenThere: X-Mailman-Version: 2.1\r\n"
	"List-Id: <\r\nList-Unsubscribe: <https://, <mailto:-request@?subject=unsubscribe>\r\n"
	"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Archive: <http://\r\nList-Post: <mailto:\r\nList-Help: <mailto:"
	"?subject=help>\r\nList-Subscribe: <https:///mailman/listinfo/>, \r\n\t<mailto:?subject=subscribe>\r\nList-Owner: "
	"X-Original-To: \r\nDelivered-To: \r\nResent-From: Resent-To: Resent-Date: Resent-Message-ID: Sender: "
	"ARC-Seal: i=1; a=rsa-sha256; t=; cv=none;\r\n        d=google.com; s=arc-20160816;\r\n        b=\r\n"
	"ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=; s=;\r\n        h=\r\nARC-Authentication-Results: i=1; "
	"mx.google.com;\r\n       dkim=pass header.i=@ header.s= header.b=;\r\n       spf=pass (google.com: domain of  designates "
	" as permitted sender) smtp.mailfrom=;\r\n       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=\r\n"
	"Authentication-Results: ; dkim=pass (2048-bit key; unprotected) header.d= header.i=@ header.a=rsa-sha256 header.s= "
	"header.b=; dkim-atps=neutral; spf=pass smtp.mailfrom= smtp.helo=; dmarc=none; arc=none; auth=pass\r\n"
	"Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=; helo=; envelope-from=<>; receiver=<UNKNOWN> \r\n"
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=; s=default; t=; x=; bh=; \r\n\th=From:To:Subject:Date:Message-ID:"
	"MIME-Version:Content-Type:Reply-To:List-Unsubscribe:Content-Transfer-Encoding:In-Reply-To:References:Cc:Sender:From;\r\n\tb="
	"Return-Path: <bounce@>\r\nReceived: from mail. (localhost [127.0.0.1])\r\n\tby localhost (Postfix) with ESMTP id \r\n\tfor <@>; "
	"Received: from unknown (HELO ) ([]) by smtp. with ESMTPS; (envelope-from <>) (Exim 4.94.2)\r\n\t"
	"(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519 server-signature RSA-PSS "
	"(2048 bits) server-digest SHA256)\r\n\t(No client certificate requested)\r\n\tby mx. (Postfix) with ESMTPS id \r\n\tfor <@>; "
	"(version=TLS1_2 cipher=ECDHE-RSA-AES128-GCM-SHA256 bits=128/128); with HTTP; with LMTP id "
	"Mon, Tue, Wed, Thu, Fri, Sat, Sun, \r\n\tReceived: from \r\n\tby  with SMTP id \r\n        for <@>\r\n        "
	"Reply-To: \r\nCc: \r\nBcc: undisclosed-recipients:;\r\nIn-Reply-To: <@>\r\nReferences: <@>\r\n\t<@>\r\n <"
	".com> .org> .net> .de> @gmail.com> @mail.gmail.com> @outlook.com> @yahoo.com> .prod.outlook.com> noreply@ no-reply@ info@ "
	"Subject: Re: Fwd: AW: =?UTF-8?Q?=C3=A4_=C3=B6_=C3=BC_=E2=80=99?= =?utf-8?B?=?= =?iso-8859-1?Q?=?=\r\n =?UTF-8?Q?"
	"Content-Disposition: inline\r\nContent-Type: multipart/alternative;\r\n\tboundary=\"----=_NextPart_000_\"\r\n"
	"Content-Type: multipart/mixed; boundary=\"===============\"\r\nContent-Type: multipart/related;\r\n boundary=\"------------\"\r\n"
	"Content-Type: multipart/signed; micalg=pgp-sha256; protocol=\"application/pgp-signature\"\r\n"
	"Content-Type: text/html; charset=UTF-8\r\nContent-Type: text/plain; charset=\"us-ascii\"\r\nContent-Type: text/plain; "
	"charset=iso-8859-1; format=flowed; delsp=yes\r\nContent-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 8bit\r\n"
	"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n"
	"Message-ID: <@>\r\nMessage-Id: <\r\nDate: \r\nSubject: \r\nTo: \r\nFrom: \r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");

static const struct slice summary = SLICE_INIT(
	"\"message\" \"delivery-status\" \"report\" (\"report-type\" \"delivery-status\" \"text\" \"rfc822-headers\" "
	"\"application\" \"pgp-signature\" \"signed\" (\"micalg\" \"pgp-sha256\" \"protocol\" \"application/pgp-signature\" "
	"\"text\" \"calendar\" (\"charset\" \"UTF-8\" \"method\" \"REQUEST\") \"message\" \"rfc822\" NIL NIL NIL \"7BIT\" "
	"\"related\" (\"type\" \"multipart/alternative\" \"boundary\" \"===============\") NIL NIL NIL)"
	"(\"image\" \"jpeg\" (\"name\" \"image001.jpg\") \"<image001.png@>\" NIL \"BASE64\" (\"image\" \"png\" (\"name\" "
	"(\"inline\" (\"filename\" \"image001.png\")) NIL NIL)(\"application\" \"octet-stream\" (\"name\" "
	"(\"application\" \"vnd.openxmlformats-officedocument.wordprocessingml.document\" (\"name\" \".docx\" "
	"(\"application\" \"pdf\" (\"name\" \".pdf\") NIL NIL \"BASE64\" (\"attachment\" (\"filename\" \".pdf\")) NIL NIL) "
	"\"mixed\" (\"boundary\" \"----=_NextPart_000_\") NIL NIL NIL)"
	"(\"Sun, 01 Jan 2024 00:00:00 +0000 (UTC)\" Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec 2025 2026 2027 "
	"(\"Mon,  +0100\" \"(\"Tue,  +0200\" \"(\"Wed,  -0400\" \"(\"Thu,  -0500\" \"(\"Fri,  -0700\" \"(\"Sat,  GMT\" "
	"\"Fwd: \"AW: \"[list] \"=?UTF-8?B?=?= =?iso-8859-1?Q?=?= =?utf-8?Q?=C3=A4_=C3=B6_=C3=BC_=E2=80=99?=\" \"Re: "
	"((NIL NIL \"noreply\" \"no-reply\" \"info\" \"support\" \"service\" \"newsletter\" \"gmail.com\")) ((\" via \" NIL "
	"\"outlook.com\")) ((NIL NIL \"\" \"hotmail.com\")) ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)) "
	"NIL NIL NIL \"<.prod.outlook.com>\" NIL NIL \"<@mail.gmail.com>\" \"<@>\")"
	"(((\"text\" \"plain\" (\"charset\" \"us-ascii\" \"format\" \"flowed\") NIL NIL \"7BIT\"  NIL NIL NIL NIL)"
	"(\"text\" \"plain\" (\"charset\" \"iso-8859-1\") NIL NIL \"8BIT\"  NIL NIL NIL NIL)"
	"((\"text\" \"plain\" (\"charset\" \"UTF-8\") NIL NIL \"QUOTED-PRINTABLE\"  NIL NIL NIL NIL)"
	"(\"text\" \"html\" (\"charset\" \"UTF-8\") NIL NIL \"QUOTED-PRINTABLE\"  NIL NIL NIL NIL) "
	"\"alternative\" (\"boundary\" \"----=_Part_\") NIL NIL NIL)"
	"(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"QUOTED-PRINTABLE\"  NIL NIL NIL NIL)");

struct slice
dictionary_get(uint8_t id)
{
	switch ((enum dictionary_id)id) {
	case DICTIONARY_NONE:
		return SLICE_NONE;
	case DICTIONARY_HEADER:
		return header;
	case DICTIONARY_SUMMARY:
		return summary;
	}
	return SLICE_NONE;
}

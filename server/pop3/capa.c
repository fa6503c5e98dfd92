/* capa - CAPA [RFC 2449 s5], and the two commands that change how a session speaks: UTF8 and
 * LANG [RFC 6856].
 *
 * Whatever is announced before the login is announced after it too [RFC 2449 s5], but STLS
 * [RFC 2595 s4].
 */
#include "server/pop3/pop3.h"

/* EXPIRE [RFC 2449 s6.7]: whole days that a message surely stays in INBOX. It is the same
 * for all accounts. */
static void
put_expire(struct pop3 *p, struct buf *out)
{
	const struct conf_ages *ages = &session_conf(p->s)->maintenance.autoexpunge;
	uint64_t least = UINT64_MAX;

	for (size_t i = 0; i < ages->count; i++)
		if (slice_eq_nocase(slice_str(ages->list[i].mailbox), SLICE("INBOX")) &&
		    ages->list[i].age < least)
			least = ages->list[i].age;
	if (least == UINT64_MAX)
		buf_append_str(out, "EXPIRE NEVER\r\n");
	else
		buf_printf(out, "EXPIRE %llu\r\n", (unsigned long long)(least / (24 * 3600)));
}

/* USER and PLAIN only where a password may be sent [RFC 2595 s2.3]. */
enum session_next
pop3_start_capa(struct pop3 *p, struct slice arg, bool has_arg)
{
	struct buf *out = session_out(p->s);
	char names[SASL_MECHANISMS_TEXT];
	const char *mechanisms = login_mechanisms(&p->login, names);
	uint64_t delay = session_conf(p->s)->pop3.login_delay;

	(void)arg;
	if (has_arg)
		return pop3_err(p, "CAPA takes no argument");
	pop3_ok(p, "Capability list follows");
	buf_append_str(out,
	    "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 USER\r\nLANG\r\n");
	put_expire(p, out);
	if (delay > 0)
		buf_printf(out, "LOGIN-DELAY %llu\r\n", (unsigned long long)delay);
	if (login_offers_password(&p->login))
		buf_append_str(out, "USER\r\n");
	if (mechanisms[0] != '\0')
		buf_printf(out, "SASL %s\r\n", mechanisms);
	if (p->state == POP3_AUTHORIZATION && session_can_starttls(p->s) && !p->utf8)
		buf_append_str(out, "STLS\r\n");
	buf_append_str(out, "IMPLEMENTATION " SERVER_NAME "\r\n.\r\n");
	return NEXT_AGAIN;
}

/* UTF8 [RFC 6856 s2.1]: from here on messages go out as they are. Saying it twice is harmless. */
enum session_next
pop3_start_utf8(struct pop3 *p, struct slice arg, bool has_arg)
{
	(void)arg;
	if (has_arg)
		return pop3_err(p, "UTF8 takes no argument");
	p->utf8 = true;
	return pop3_ok(p, "UTF-8 it is");
}

/* The answer is in the new language already, behind its tag [RFC 6856 s3.2]. */
static enum session_next
change_language(struct pop3 *p, const struct pop3_language *lang)
{
	size_t code_len;

	p->lang = lang;
	buf_printf(session_out(p->s), "+OK %s %s\r\n", lang->tag,
	           pop3_text(lang, "Language changed", &code_len));
	return NEXT_AGAIN;
}

/* LANG [language-range / "*"] [RFC 6856 s3] */
enum session_next
pop3_start_lang(struct pop3 *p, struct slice arg, bool has_arg)
{
	const struct pop3_language *lang;

	if (has_arg) {
		if (slice_eq(arg, SLICE("*")))  /* the operator's; the same for every account */
			return change_language(p,
			                       &pop3_languages[session_conf(p->s)->pop3.language]);
		lang = pop3_language_find(arg);
		return lang != NULL ? change_language(p, lang)
		                    : pop3_err(p, "No such language here");
	}
	pop3_ok(p, "Language listing follows");
	for (lang = pop3_languages; lang->tag != NULL; lang++)
		buf_printf(session_out(p->s), "%s %s\r\n", lang->tag, lang->name);
	buf_append_str(session_out(p->s), ".\r\n");
	return NEXT_AGAIN;
}

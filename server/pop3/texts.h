/* texts - what POP3 says to people, in the languages of LANG [RFC 6856 s3].
 *
 * The English text in the code is the key, as with gettext: code reads as what it says, and the compiler checks the
 * conversions of what is written there. A text that the table does not have is said in English (a test looks that none
 * is missing, and that all of a row take the same arguments). Static; any thread.
 */
#ifndef RESTANTE_SERVER_POP3_TEXTS_H
#define RESTANTE_SERVER_POP3_TEXTS_H

#include "lib/slice.h"

struct pop3_language {
	const char *tag;        /* [RFC 5646] */
	const char *name;       /* in the language itself, UTF-8 */
};

/* English, German, Japanese; English is what a session begins with. Ends with a tag of NULL. */
extern const struct pop3_language pop3_languages[];

/* The language for a basic language range [RFC 4647 s3.4, lookup: "de-AT" finds "de"], in any case; NULL: none. */
const struct pop3_language *pop3_language_find(struct slice range);
/* `english` in that language; may begin with a response code, "[AUTH] ...", which is not part of the text:
 * *code_len octets of `english` are the code with its space. */
const char *pop3_text(const struct pop3_language *lang, const char *english, size_t *code_len);
/* For the test: row `i` in language `lang`, both from 0; NULL behind the last row. */
const char *pop3_text_row(size_t i, size_t lang);

#endif

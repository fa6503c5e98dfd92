/* load_words - see load_words.h.
 *
 * Everything is drawn from tables: 65,536 draws of a word in proportion to its frequency, 1,024
 * phrases. The numbers below are chosen so that whole mails of 5 KB compress like English ones
 * (zlib level 6: 0.40 to 0.45).
 */
#include "tests/bench/load_words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WORDS        8192u
#define DRAWS        65536u
#define PHRASES      1024u
#define PHRASE_WORDS 4u
#define PHRASE_AGAIN 6u         /* words of the text's own that are said again */
#define SAID         512u       /* words that it remembers */
#define LINE_MAX_TEXT 68u

struct word {
	char    text[16];       /* UTF-8, and a space */
	char    qp[WORD_ROOM];  /* the same quoted-printable */
	uint8_t len, qp_len;
	bool    ascii;
};

static struct word words[WORDS];
static uint16_t draws[DRAWS];
static uint16_t phrases[PHRASES][PHRASE_WORDS];
static char pairs[4096][2];
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct rng
rng_of(uint64_t seed, uint64_t number)
{
	uint64_t z = seed * 0x9e3779b97f4a7c15u + number * 0xd1342543de82ef95u + 1;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return (struct rng){ z != 0 ? z : 1 };
}

size_t
rng_size(struct rng *r, size_t median, double sigma)
{
	double normal = -6, x;

	for (int i = 0; i < 12; i++)
		normal += (double)(rng_next(r) >> 40) / (double)(1u << 24);
	x = exp(normal * sigma);
	return (size_t)((double)median * (x < 60 ? x : 60));
}

/* --- the vocabulary --- */

static void
make_word(struct word *w, struct rng *r, unsigned rank)
{
	static const char *const onset[] = { "b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r",
		"s", "t", "v", "w", "st", "tr", "ch", "sh", "pr", "th", "" };
	static const char *const vowel[] = { "a", "e", "i", "o", "u", "ea", "e", "a", "i", "o" };
	static const char *const coda[] = { "", "n", "r", "s", "t", "l", "nd", "", "ng", "" };
	static const char *const high[] = { "\xc3\xa4", "\xc3\xb6", "\xc3\xbc", "\xc3\xa9",
		"\xc3\xb1" };
	unsigned syllables = rank < 64 ? 1 : rank < 800 ? 1 + rng_below(r, 2) : 2 + rng_below(r, 2);
	char text[64] = "";

	w->ascii = rank % 29 != 28;
	for (unsigned i = 0; i < syllables && strlen(text) < 9; i++) {
		strcat(text, onset[rng_below(r, 22)]);
		strcat(text, !w->ascii && i == 0 ? high[rng_below(r, 5)] : vowel[rng_below(r, 10)]);
		strcat(text, coda[rng_below(r, 10)]);
	}
	strcat(text, " ");
	w->len = (uint8_t)strlen(text);
	memcpy(w->text, text, w->len);
	for (const char *p = text; *p != '\0'; p++) {
		if ((uint8_t)*p < 0x80)
			w->qp[w->qp_len++] = *p;
		else
			w->qp_len =
			    (uint8_t)(w->qp_len + sprintf(w->qp + w->qp_len, "=%02X", (uint8_t)*p));
	}
}

void
words_init(void)
{
	struct rng r = rng_of(4711, 0);
	double total = 0, sum = 0;
	unsigned at = 0;

	for (unsigned i = 0; i < WORDS; i++) {
		make_word(&words[i], &r, i);
		total += 1 / (i + 2.7);
	}
	for (unsigned i = 0; i < WORDS; i++) {
		sum += 1 / (i + 2.7);
		while (at < DRAWS && at <= sum / total * DRAWS)
			draws[at++] = (uint16_t)i;
	}
	for (unsigned i = 0; i < PHRASES; i++)
		for (unsigned k = 0; k < PHRASE_WORDS; k++)
			phrases[i][k] = draws[rng_below(&r, DRAWS)];
	for (unsigned i = 0; i < 4096; i++) {
		pairs[i][0] = digits[i >> 6];
		pairs[i][1] = digits[i & 63];
	}
}

char *
words_pick(struct rng *r, char *to, bool ascii)
{
	const struct word *w;

	do
		w = &words[draws[rng_next(r) >> 48]];
	while (ascii && !w->ascii);
	memcpy(to, w->text, sizeof w->text);
	return to + w->len;
}

/* --- prose --- */

struct prose {
	struct rng     *rng;
	uint64_t        bits;           /* four draws */
	unsigned        bits_left;
	uint16_t        history[SAID];  /* the last words */
	uint64_t        said;
	const uint16_t *phrase;         /* the words of a phrase that are still to come */
	unsigned        phrase_left;
	unsigned        sentence;       /* words until the full stop */
	unsigned        paragraph;      /* sentences until an empty line */
	bool            capital;        /* the next word begins a sentence */
};

/* Now and then a phrase begins: one that everybody uses, or one that this text has used before. */
static void
begin_phrase(struct prose *p, uint16_t draw)
{
	if ((draw & 7) == 0) {
		p->phrase = phrases[(rng_next(p->rng) >> 54) % PHRASES];
		p->phrase_left = PHRASE_WORDS;
	} else if ((draw & 7) < 2 && p->said >= PHRASE_AGAIN) {
		uint64_t most = p->said < SAID ? p->said : SAID;

		p->phrase = p->history + rng_below(p->rng, (uint32_t)(most - PHRASE_AGAIN + 1));
		p->phrase_left = PHRASE_AGAIN;
	}
}

static const struct word *
next_word(struct prose *p)
{
	uint16_t draw, word;

	if (p->phrase_left > 0) {
		p->phrase_left--;
		word = *p->phrase++;
	} else {
		if (p->bits_left == 0) {
			p->bits = rng_next(p->rng);
			p->bits_left = 4;
		}
		draw = (uint16_t)p->bits;
		p->bits >>= 16;
		p->bits_left--;
		word = draws[draw];
		begin_phrase(p, draw);
	}
	p->history[p->said++ % SAID] = word;
	return &words[word];
}

/* The words go to `to`, a sentence ends or not; returns the end. */
static char *
put_word(struct prose *p, char *to, enum prose_form form)
{
	const struct word *w = next_word(p);
	char *end;

	if (form == PROSE_TEXT) {
		memcpy(to, w->text, sizeof w->text);
		end = to + w->len;
	} else {
		memcpy(to, w->qp, sizeof w->qp);
		end = to + w->qp_len;
	}
	if (p->capital && *to >= 'a' && *to <= 'z')
		*to = (char)(*to - 'a' + 'A');
	p->capital = p->sentence-- == 0;
	if (p->capital) {
		p->sentence = 4 + rng_below(p->rng, 14);
		end[-1] = '.';
		*end++ = ' ';
	}
	return end;
}

static char *
end_paragraph(char *to, enum prose_form form)
{
	const char *text =
	    form == PROSE_HTML ? "</p>\r\n<p style=3D\"margin: 0 0 1em\">" : "\r\n\r\n";
	size_t len = strlen(text);

	memcpy(to - 1, text, len);
	return to - 1 + len;
}

char *
words_prose(struct rng *r, char *to, size_t len, enum prose_form form)
{
	struct prose p = { .rng = r, .sentence = 8, .paragraph = 4, .capital = true };
	char *stop = to + len, *line = to;

	while (to < stop) {
		to = put_word(&p, to, form);
		if (p.capital && --p.paragraph == 0) {
			p.paragraph = 2 + rng_below(r, 6);
			to = line = end_paragraph(to, form);
		} else if ((size_t)(to - line) > LINE_MAX_TEXT - (form == PROSE_TEXT ? 0 : 18)) {
			if (form == PROSE_HTML)
				*to++ = '=';
			else
				to--;
			memcpy(to, "\r\n", 2);
			line = to += 2;
		}
	}
	memcpy(to, "\r\n", 2);
	return to + 2;
}

/* --- base64 --- */

char *
words_token(struct rng *r, char *to, size_t len)
{
	size_t i = 0;

	for (; i + 10 <= len; i += 10) {
		uint64_t bits = rng_next(r);

		for (int k = 0; k < 10; k += 2, bits >>= 12)
			memcpy(to + i + k, pairs[bits & 4095], 2);
	}
	for (uint64_t bits = rng_next(r); i < len; i++, bits >>= 6)
		to[i] = digits[bits & 63];
	return to + len;
}

size_t
words_base64_size(size_t len)
{
	return len + (len + 75) / 76 * 2;
}

char *
words_base64(struct rng *r, char *to, size_t len)
{
	while (len > 0) {
		size_t part = len < 76 ? len : 76;

		to = words_token(r, to, part);
		memcpy(to, "\r\n", 2);
		to += 2;
		len -= part;
	}
	return to;
}

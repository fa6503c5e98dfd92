/* load_words - random numbers and prose of an invented language, for load_mail.
 *
 * Words follow Zipf's law as those of languages do, some come in fixed phrases, some have letters
 * beyond ASCII. Prose is made of them at about the speed of copying.
 */
#ifndef RESTANTE_BENCH_LOAD_WORDS_H
#define RESTANTE_BENCH_LOAD_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

/* Streams of different seeds or numbers have nothing in common. */
struct rng rng_of(uint64_t seed, uint64_t number);

static inline uint64_t
rng_next(struct rng *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1du;
}

static inline uint32_t
rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((rng_next(r) >> 32) * n >> 32);
}

/* Log-normal: half of them below the median; no more than 60 times the median. */
size_t rng_size(struct rng *r, size_t median, double sigma);

enum prose_form {
	PROSE_TEXT,             /* text/plain, 8bit */
	PROSE_QP,               /* text/plain, quoted-printable */
	PROSE_HTML,             /* text/html, quoted-printable */
};

#define WORD_ROOM 32u           /* octets that words_pick may write */
#define PROSE_SLACK 256u        /* octets that words_prose may write behind `len` */

/* Call once before all else. */
void words_init(void);
/* One word and a space; returns the end. `ascii`: letters of ASCII only. */
char *words_pick(struct rng *r, char *to, bool ascii);
/* About `len` octets of sentences in lines, ends with CRLF; no line begins with a dot. Returns the
 * end. */
char *words_prose(struct rng *r, char *to, size_t len, enum prose_form form);
/* `len` characters of base64, lines of 76, ends with CRLF; returns the end: to +
 * words_base64_size(len). */
char *words_base64(struct rng *r, char *to, size_t len);
size_t words_base64_size(size_t len);
/* `len` characters of base64 without line ends. */
char *words_token(struct rng *r, char *to, size_t len);

#endif

/* digits - a number in decimal or hexadecimal, written where there is room: listings of whole mailboxes are made of them. */
#ifndef RESTANTE_LIB_DIGITS_H
#define RESTANTE_LIB_DIGITS_H

#include <stdint.h>

#define DIGITS_MAX 20u

/* From p on, without a NUL; returns where they end. */
uint8_t *digits_put(uint8_t *p, uint64_t v);

#define DIGITS_HEX_MAX 16u

/* The same in hexadecimal, with small letters. */
uint8_t *digits_put_hex(uint8_t *p, uint64_t v);

#endif

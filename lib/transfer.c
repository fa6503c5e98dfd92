/* transfer - streaming decoders and encoders of transfer encodings. See transfer.h.
 *
 * The quoted-printable decoder holds back what it cannot judge yet: white space that may turn out
 * to stand at the end of a line (then it was added in transport and goes, RFC 2045 s6.7 rule 3),
 * and a '=' with what follows it. A run longer than its small buffer is taken for content.
 */
#include "lib/transfer.h"

#include "lib/base64.h"

#define LINE_MAX 76u

static const char *const encoding_names[] = {
	[TRANSFER_7BIT] = "7BIT", [TRANSFER_8BIT] = "8BIT", [TRANSFER_BINARY] = "BINARY",
	[TRANSFER_BASE64] = "BASE64", [TRANSFER_QP] = "QUOTED-PRINTABLE", [TRANSFER_UNKNOWN] = "",
};

enum transfer_encoding
transfer_encoding_of(struct slice name)
{
	name = slice_trim(name);
	if (name.len == 0)
		return TRANSFER_7BIT;
	for (unsigned i = 0; i < TRANSFER_UNKNOWN; i++)
		if (slice_eq_nocase(name, slice_str(encoding_names[i])))
			return (enum transfer_encoding)i;
	return TRANSFER_UNKNOWN;
}

const char *
transfer_encoding_name(enum transfer_encoding enc)
{
	return encoding_names[enc];
}

void
transfer_decode_init(struct transfer_decoder *d, enum transfer_encoding enc)
{
	*d = (struct transfer_decoder){ .enc = enc };
}

/* Give out the bytes of the sextets held: 2 make one byte, 3 make two, 4 make three. */
static void
base64_flush(struct transfer_decoder *d, struct buf *out)
{
	uint32_t v = d->bits << 6 * (4 - d->nbits);

	for (unsigned i = 0; i + 1 < d->nbits; i++)
		buf_append_byte(out, (uint8_t)(v >> (16 - 8 * i)));
	d->bits = 0;
	d->nbits = 0;
}

static void
base64_byte(struct transfer_decoder *d, uint8_t c, struct buf *out)
{
	int v = base64_value(c);

	if (v >= 0) {
		if (d->padded)
			d->damaged = true;
		d->bits = d->bits << 6 | (uint32_t)v;
		if (++d->nbits == 4)
			base64_flush(d, out);
	} else if (c == '=') {
		if (d->nbits == 1 || (d->nbits == 0 && !d->padded))
			d->damaged = true;
		base64_flush(d, out);
		d->padded = true;
	} else if (c != '\r' && c != '\n' && c != ' ' && c != '\t') {
		d->damaged = true;
	}
}

static void
qp_hold(struct transfer_decoder *d, uint8_t c)
{
	d->pending[d->pending_len++] = c;
}

/* What was held back is content after all. */
static void
qp_release(struct transfer_decoder *d, struct buf *out)
{
	buf_append(out, d->pending, d->pending_len);
	d->pending_len = 0;
}

/* A byte behind '='; false if the escape is none and c is to be looked at again. */
static bool
qp_escape(struct transfer_decoder *d, uint8_t c, struct buf *out)
{
	int high = d->pending_len > 1 ? ascii_hex_value(d->pending[1]) : -1;
	int low = ascii_hex_value(c);

	if (high >= 0 && low >= 0) {
		buf_append_byte(out, (uint8_t)(high << 4 | low));
		d->pending_len = 0;
		return true;
	}
	if (high < 0 && c == '\n') {
		d->pending_len = 0;     /* soft line break */
		return true;
	}
	if (d->pending_len < sizeof d->pending &&
	    ((d->pending_len == 1 && low >= 0) ||
	        (high < 0 && (c == ' ' || c == '\t' || c == '\r')))) {
		qp_hold(d, c);
		return true;
	}
	d->damaged = true;
	qp_release(d, out);
	return false;
}

/* A byte behind white space; false if that was content and c is to be looked at again. */
static bool
qp_blank(struct transfer_decoder *d, uint8_t c, struct buf *out)
{
	bool cr = d->pending[d->pending_len - 1] == '\r';

	if (c == '\n') {
		d->pending_len = 0;
		buf_append_str(out, cr ? "\r\n" : "\n");
		return true;
	}
	if (!cr && (c == ' ' || c == '\t' || c == '\r') && d->pending_len < sizeof d->pending) {
		qp_hold(d, c);
		return true;
	}
	qp_release(d, out);
	return false;
}

static void
qp_byte(struct transfer_decoder *d, uint8_t c, struct buf *out)
{
	if (d->pending_len > 0) {
		bool taken = d->pending[0] == '=' ? qp_escape(d, c, out) : qp_blank(d, c, out);

		if (taken)
			return;
	}
	if (c == '=' || c == ' ' || c == '\t')
		qp_hold(d, c);
	else
		buf_append_byte(out, c);
}

void
transfer_decode(struct transfer_decoder *d, struct slice in, struct buf *out)
{
	switch (d->enc) {
	case TRANSFER_BASE64:
		for (size_t i = 0; i < in.len && !out->failed; i++)
			base64_byte(d, in.ptr[i], out);
		break;
	case TRANSFER_QP:
		for (size_t i = 0; i < in.len && !out->failed; i++)
			qp_byte(d, in.ptr[i], out);
		break;
	case TRANSFER_UNKNOWN:
		d->damaged = true;
		buf_append_slice(out, in);
		break;
	case TRANSFER_7BIT:
	case TRANSFER_8BIT:
	case TRANSFER_BINARY:
		buf_append_slice(out, in);
		break;
	}
}

bool
transfer_decode_finish(struct transfer_decoder *d, struct buf *out)
{
	if (d->nbits > 0) {
		d->damaged = true;      /* a group was cut, or its padding left out */
		base64_flush(d, out);
	}
	if (d->pending_len > 1 && d->pending[0] == '=' && ascii_hex_value(d->pending[1]) >= 0) {
		d->damaged = true;
		qp_release(d, out);
	}
	d->pending_len = 0;     /* white space at the end, or a soft line break before it */
	return !d->damaged && d->enc != TRANSFER_UNKNOWN && !out->failed;
}

/* Whether the byte at `at` stands before a line end. */
static bool
before_line_end(struct slice in, size_t at)
{
	return at + 1 == in.len ||
	       (at + 2 < in.len && in.ptr[at + 1] == '\r' && in.ptr[at + 2] == '\n');
}

bool
transfer_encode_qp(struct slice in, struct buf *out)
{
	size_t column = 0;

	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.ptr[i];
		bool blank = c == ' ' || c == '\t';
		bool plain = blank ? !before_line_end(in, i) : c > ' ' && c < 0x7f && c != '=';

		if (c == '\r' && i + 1 < in.len && in.ptr[i + 1] == '\n') {
			buf_append(out, "\r\n", 2);
			i++;
			column = 0;
			continue;
		}
		if (column + (plain ? 1 : 3) > LINE_MAX - 1) {
			buf_append(out, "=\r\n", 3);
			column = 0;
		}
		if (plain)
			buf_append_byte(out, c);
		else
			buf_printf(out, "=%02X", c);
		column += plain ? 1 : 3;
	}
	return !out->failed;
}

bool
transfer_encode_base64(struct slice in, struct buf *out)
{
	for (size_t at = 0; at < in.len; at += LINE_MAX / 4 * 3) {
		base64_encode(slice_sub(in, at, at + LINE_MAX / 4 * 3), out);
		buf_append(out, "\r\n", 2);
	}
	return !out->failed;
}

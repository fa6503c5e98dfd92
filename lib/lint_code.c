/* lint_code - every code with its severity and where it is written. See lint_code.h.
 *
 * Severity follows the standard's own word: what its grammar does not allow or a MUST forbids is an
 * error, a SHOULD or a known trap a warning, what is allowed (obsolete forms, lines
 * over 78) a note.
 */
#include "lib/lint_code.h"

const struct lint_code_info lint_codes[LINT_CODE_COUNT] = {
	[LINT_MBOX_FROM] = { "mbox-from", LINT_NOTE, 4155, "appendix A" },
	[LINT_LF_LINES] = { "lf-lines", LINT_NOTE, 5322, "section 2.1" },
	[LINT_BARE_LF] = { "bare-lf", LINT_ERROR, 5322, "section 2.3" },
	[LINT_BARE_CR] = { "bare-cr", LINT_ERROR, 5322, "section 2.3" },
	[LINT_NUL] = { "nul", LINT_ERROR, 2045, "section 2.7" },
	[LINT_LINE_998] = { "line-998", LINT_ERROR, 5322, "section 2.1.1" },
	[LINT_LINE_78] = { "line-78", LINT_NOTE, 5322, "section 2.1.1" },
	[LINT_NO_LINE_END] = { "no-line-end", LINT_NOTE, 5321, "section 4.1.1.4" },
	[LINT_LIMIT] = { "limit", LINT_NOTE, 5321, "section 4.5.3.1" },

	[LINT_UTF8_HEADER] = { "utf8-header", LINT_WARNING, 6532, "section 3.2" },
	[LINT_8BIT_HEADER] = { "8bit-header", LINT_ERROR, 5322, "section 2.2" },
	[LINT_FIELD_NO_COLON] = { "field-no-colon", LINT_ERROR, 5322, "section 2.2" },
	[LINT_FIELD_NAME] = { "field-name", LINT_ERROR, 5322, "section 3.6.8" },
	[LINT_SPACE_BEFORE_COLON] = { "space-before-colon", LINT_WARNING, 5322, "section 4.5" },
	[LINT_BLANK_FOLD] = { "blank-fold", LINT_WARNING, 5322, "section 3.2.2" },
	[LINT_MISSING_DATE] = { "missing-date", LINT_ERROR, 5322, "section 3.6" },
	[LINT_MISSING_FROM] = { "missing-from", LINT_ERROR, 5322, "section 3.6" },
	[LINT_MISSING_SENDER] = { "missing-sender", LINT_ERROR, 5322, "section 3.6.2" },
	[LINT_MISSING_MESSAGE_ID] = { "missing-message-id", LINT_WARNING, 5322, "section 3.6.4" },
	[LINT_DUPLICATE_FIELD] = { "duplicate-field", LINT_ERROR, 5322, "section 3.6" },
	[LINT_EMPTY_FIELD] = { "empty-field", LINT_ERROR, 5322, "section 3.6.3" },
	[LINT_BCC_PRESENT] = { "bcc-present", LINT_WARNING, 5322, "section 3.6.3" },
	[LINT_RESENT_INCOMPLETE] = { "resent-incomplete", LINT_ERROR, 5322, "section 3.6.6" },
	[LINT_OBSOLETE] = { "obsolete", LINT_NOTE, 5322, "section 4" },
	[LINT_BAD_COMMENT] = { "bad-comment", LINT_ERROR, 5322, "section 3.2.2" },
	[LINT_BAD_QUOTED_STRING] = { "bad-quoted-string", LINT_ERROR, 5322, "section 3.2.4" },
	[LINT_BAD_PHRASE] = { "bad-phrase", LINT_ERROR, 5322, "section 3.2.5" },

	[LINT_BAD_DATE] = { "bad-date", LINT_ERROR, 5322, "section 3.3" },
	[LINT_DATE_WEEKDAY] = { "date-weekday", LINT_ERROR, 5322, "section 3.3" },
	[LINT_BAD_ADDRESS] = { "bad-address", LINT_ERROR, 5322, "section 3.4" },
	[LINT_GROUP_IN_FROM] = { "group-in-from", LINT_NOTE, 6854, "section 2" },
	[LINT_ADDRESS_LONG] = { "address-long", LINT_WARNING, 5321, "section 4.5.3.1" },
	[LINT_BAD_MSG_ID] = { "bad-msg-id", LINT_ERROR, 5322, "section 3.6.4" },
	[LINT_BAD_RECEIVED] = { "bad-received", LINT_ERROR, 5322, "section 3.6.7" },
	[LINT_RECEIVED_BY] = { "received-by", LINT_WARNING, 5321, "section 4.4" },

	[LINT_WORD_SYNTAX] = { "word-syntax", LINT_WARNING, 2047, "section 2" },
	[LINT_WORD_CHARSET] = { "word-charset", LINT_WARNING, 2047, "section 3" },
	[LINT_WORD_LONG] = { "word-long", LINT_ERROR, 2047, "section 2" },
	[LINT_WORD_LINE] = { "word-line", LINT_WARNING, 2047, "section 2" },
	[LINT_WORD_TEXT] = { "word-text", LINT_ERROR, 2047, "section 4" },
	[LINT_WORD_SPLIT] = { "word-split", LINT_ERROR, 2047, "section 5" },
	[LINT_WORD_PLACE] = { "word-place", LINT_ERROR, 2047, "section 5" },
	[LINT_WORD_QUOTED] = { "word-quoted", LINT_ERROR, 2047, "section 5" },
	[LINT_WORD_PARAMETER] = { "word-parameter", LINT_ERROR, 2047, "section 5" },
	[LINT_WORD_SEPARATOR] = { "word-separator", LINT_ERROR, 2047, "section 5" },

	[LINT_MISSING_MIME_VERSION] = { "missing-mime-version", LINT_ERROR, 2045, "section 4" },
	[LINT_BAD_MIME_VERSION] = { "bad-mime-version", LINT_ERROR, 2045, "section 4" },
	[LINT_BAD_CONTENT_TYPE] = { "bad-content-type", LINT_ERROR, 2045, "section 5.1" },
	[LINT_BAD_DISPOSITION] = { "bad-disposition", LINT_ERROR, 2183, "section 2" },
	[LINT_BAD_PARAMETER] = { "bad-parameter", LINT_ERROR, 2045, "section 5.1" },
	[LINT_DUPLICATE_PARAMETER] = { "duplicate-parameter", LINT_ERROR, 2045, "section 5" },
	[LINT_PARAMETER_PIECES] = { "parameter-pieces", LINT_ERROR, 2231, "section 3" },
	[LINT_UNKNOWN_CHARSET] = { "unknown-charset", LINT_WARNING, 2046, "section 4.1.2" },
	[LINT_UNKNOWN_ENCODING] = { "unknown-encoding", LINT_WARNING, 2045, "section 6.1" },
	[LINT_ENCODING_COMPOSITE] = { "encoding-composite", LINT_ERROR, 2045, "section 6.4" },
	[LINT_ENCODING_OUTER] = { "encoding-outer", LINT_WARNING, 2045, "section 6.4" },

	[LINT_BOUNDARY_MISSING] = { "boundary-missing", LINT_ERROR, 2046, "section 5.1.1" },
	[LINT_BOUNDARY_LONG] = { "boundary-long", LINT_ERROR, 2046, "section 5.1.1" },
	[LINT_BOUNDARY_CHARS] = { "boundary-chars", LINT_ERROR, 2046, "section 5.1.1" },
	[LINT_BOUNDARY_REUSED] = { "boundary-reused", LINT_ERROR, 2046, "section 5.1.2" },
	[LINT_BOUNDARY_PREFIX] = { "boundary-prefix", LINT_WARNING, 2046, "section 5.1.1" },
	[LINT_BOUNDARY_UNCLOSED] = { "boundary-unclosed", LINT_ERROR, 2046, "section 5.1.1" },
	[LINT_BOUNDARY_AFTER_END] = { "boundary-after-end", LINT_ERROR, 2046, "section 5.1.1" },
	[LINT_NO_PARTS] = { "no-parts", LINT_ERROR, 2046, "section 5.1" },
	[LINT_EMBEDDED_HEADER] = { "embedded-header", LINT_WARNING, 2046, "section 5.2.1" },

	[LINT_8BIT_BODY] = { "8bit-body", LINT_ERROR, 2045, "section 6.2" },
	[LINT_8BIT_CHARSET] = { "8bit-charset", LINT_ERROR, 2046, "section 4.1.2" },
	[LINT_BASE64_CHAR] = { "base64-char", LINT_ERROR, 2045, "section 6.8" },
	[LINT_BASE64_LINE] = { "base64-line", LINT_ERROR, 2045, "section 6.8" },
	[LINT_BASE64_PADDING] = { "base64-padding", LINT_ERROR, 2045, "section 6.8" },
	[LINT_BASE64_END] = { "base64-end", LINT_ERROR, 2045, "section 6.8" },
	[LINT_QP_ESCAPE] = { "qp-escape", LINT_ERROR, 2045, "section 6.7" },
	[LINT_QP_LOWER] = { "qp-lower", LINT_WARNING, 2045, "section 6.7" },
	[LINT_QP_LINE] = { "qp-line", LINT_ERROR, 2045, "section 6.7" },
	[LINT_QP_SPACE] = { "qp-space", LINT_ERROR, 2045, "section 6.7" },
	[LINT_QP_RAW] = { "qp-raw", LINT_ERROR, 2045, "section 6.7" },

	[LINT_BAD_LIST_ID] = { "bad-list-id", LINT_ERROR, 2919, "section 3" },
	[LINT_BAD_LIST_FIELD] = { "bad-list-field", LINT_ERROR, 2369, "section 2" },
	[LINT_UNSUBSCRIBE_POST] = { "unsubscribe-post", LINT_ERROR, 8058, "section 3.1" },
	[LINT_UNSUBSCRIBE_HTTPS] = { "unsubscribe-https", LINT_ERROR, 8058, "section 3.1" },
	[LINT_UNSUBSCRIBE_DKIM] = { "unsubscribe-dkim", LINT_ERROR, 8058, "section 4" },

	[LINT_DKIM_SYNTAX] = { "dkim-syntax", LINT_ERROR, 6376, "section 3.2" },
	[LINT_DKIM_MISSING_TAG] = { "dkim-missing-tag", LINT_ERROR, 6376, "section 3.5" },
	[LINT_DKIM_DUPLICATE_TAG] = { "dkim-duplicate-tag", LINT_ERROR, 6376, "section 3.2" },
	[LINT_DKIM_VALUE] = { "dkim-value", LINT_ERROR, 6376, "section 3.5" },
	[LINT_DKIM_FROM] = { "dkim-from", LINT_ERROR, 6376, "section 5.4" },
	[LINT_DKIM_LENGTH] = { "dkim-length", LINT_WARNING, 6376, "section 8.2" },
	[LINT_DKIM_SHA1] = { "dkim-sha1", LINT_ERROR, 8301, "section 3.1" },
	[LINT_ARC_TAG] = { "arc-tag", LINT_ERROR, 8617, "section 4.1" },
	[LINT_ARC_SET] = { "arc-set", LINT_ERROR, 8617, "section 4.2" },
	[LINT_BAD_AUTH_RESULTS] = { "bad-auth-results", LINT_ERROR, 8601, "section 2.2" },
};

const struct lint_code_info *
lint_code_at(size_t i)
{
	return i < LINT_CODE_COUNT ? &lint_codes[i] : NULL;
}

const char *
lint_severity_name(enum lint_severity s)
{
	switch (s) {
	case LINT_NOTE:
		return "note";
	case LINT_WARNING:
		return "warning";
	case LINT_ERROR:
		return "error";
	}
	return "";
}

/* texts - see texts.h. */
#include "server/pop3/texts.h"

enum { ENGLISH, GERMAN, JAPANESE, LANGUAGE_COUNT };

const struct pop3_language pop3_languages[] = {
	[ENGLISH] = { "en", "English" },
	[GERMAN] = { "de", "Deutsch" },
	[JAPANESE] = { "ja", "日本語" },
	[LANGUAGE_COUNT] = { NULL, NULL },
};

static const char *const texts[][LANGUAGE_COUNT] = {
	/* sessions and lines */
	{ "Goodbye", "Auf Wiedersehen", "さようなら" },
	{ "Unknown command", "Unbekannter Befehl", "不明なコマンドです" },
	{ "Already logged in", "Schon angemeldet", "すでにログインしています" },
	{ "Log in first", "Erst anmelden", "先にログインしてください" },
	{ "NUL is not allowed in a command", "NUL ist in einem Befehl nicht erlaubt",
	  "コマンドに NUL は使えません" },
	{ "The line is too long", "Die Zeile ist zu lang", "行が長すぎます" },
	{ "This is POP3", "Dies ist POP3", "ここは POP3 です" },
	{ "Out of memory", "Kein Speicher mehr", "メモリが足りません" },
	{ "Something failed here, try again later",
	  "Hier ist etwas misslungen, bitte später noch einmal versuchen",
	  "サーバーで問題が起きました。後でもう一度お試しください" },
	{ "Something is damaged here, please tell your administrator",
	  "Hier ist etwas beschädigt, bitte die Verwaltung verständigen",
	  "サーバーでデータが壊れています。管理者に連絡してください" },
	{ "The server is short of memory, nothing was deleted",
	  "Dem Server fehlt Speicher, nichts wurde gelöscht",
	  "サーバーのメモリが足りません。何も削除していません" },
	{ "The server is going down, nothing was deleted",
	  "Der Server wird beendet, nichts wurde gelöscht",
	  "サーバーを停止します。何も削除していません" },
	{ "Ended by the administrator, nothing was deleted",
	  "Von der Verwaltung beendet, nichts wurde gelöscht",
	  "管理者により終了しました。何も削除していません" },
	{ "The account has changed, nothing was deleted",
	  "Das Konto hat sich geändert, nichts wurde gelöscht",
	  "アカウントが変更されました。何も削除していません" },

	/* CAPA, LANG, UTF8, STLS */
	{ "Capability list follows", "Es folgt die Liste der Fähigkeiten", "機能の一覧です" },
	{ "CAPA takes no argument", "CAPA nimmt kein Argument", "CAPA に引数はありません" },
	{ "Language listing follows", "Es folgt die Liste der Sprachen", "言語の一覧です" },
	{ "Language changed", "Sprache gewechselt", "言語を変更しました" },
	{ "No such language here", "Diese Sprache gibt es hier nicht", "その言語はありません" },
	{ "UTF8 takes no argument", "UTF8 nimmt kein Argument", "UTF8 に引数はありません" },
	{ "UTF-8 it is", "Ab jetzt UTF-8", "UTF-8 にしました" },
	{ "STLS takes no argument", "STLS nimmt kein Argument", "STLS に引数はありません" },
	{ "STLS must come before UTF8", "STLS muss vor UTF8 kommen", "STLS は UTF8 より先に必要です" },
	{ "TLS is already up, or no certificate is configured",
	  "TLS ist schon aktiv, oder es ist kein Zertifikat eingerichtet",
	  "TLS はすでに有効か、証明書が設定されていません" },
	{ "Begin TLS now", "TLS jetzt beginnen", "TLS を始めてください" },

	/* logging in */
	{ "USER needs a name", "USER braucht einen Namen", "USER には名前が必要です" },
	{ "A name may have 255 octets", "Ein Name darf 255 Oktette haben", "名前は 255 オクテットまでです" },
	{ "Passwords are accepted under TLS only", "Passwörter werden nur unter TLS angenommen",
	  "パスワードは TLS でのみ受け付けます" },
	{ "Now the password", "Jetzt das Passwort", "次はパスワードです" },
	{ "USER comes first", "Erst kommt USER", "先に USER が必要です" },
	{ "PASS needs a password", "PASS braucht ein Passwort", "PASS にはパスワードが必要です" },
	{ "Wrong name or password", "Name oder Passwort ist falsch", "名前またはパスワードが違います" },
	{ "Mechanisms follow", "Es folgen die Mechanismen", "認証方式の一覧です" },
	{ "No such mechanism here", "Dieses Verfahren gibt es hier nicht", "その認証方式はありません" },
	{ "Authentication cancelled", "Anmeldung abgebrochen", "認証を取り消しました" },
	{ "The message does not follow the mechanism", "Die Nachricht passt nicht zum Verfahren",
	  "認証方式に合わない応答です" },
	{ "The account may not act as another", "Das Konto darf nicht für ein anderes handeln",
	  "このアカウントは他のアカウントとしては使えません" },
	{ "The account has too many connections", "Das Konto hat zu viele Verbindungen",
	  "このアカウントの接続が多すぎます" },
	{ "Login is not possible now, try again later",
	  "Die Anmeldung ist jetzt nicht möglich, bitte später noch einmal versuchen",
	  "今はログインできません。後でもう一度お試しください" },
	{ "You logged in a moment ago, wait a little",
	  "Die letzte Anmeldung ist zu kurz her, bitte etwas warten",
	  "前回のログインから間がありません。しばらくお待ちください" },

	/* the maildrop */
	{ "%u messages (%llu octets)", "%u Nachrichten (%llu Oktette)", "%u 通 (%llu オクテット)" },
	{ "A message number is expected", "Hier wird eine Nachrichtennummer erwartet",
	  "メッセージ番号が必要です" },
	{ "No such message, there are %u", "Diese Nachricht gibt es nicht, es sind %u",
	  "そのメッセージはありません。全部で %u 通です" },
	{ "Message %u is marked to be deleted", "Nachricht %u ist zum Löschen vorgemerkt",
	  "メッセージ %u は削除予定です" },
	{ "STAT takes no argument", "STAT nimmt kein Argument", "STAT に引数はありません" },
	{ "DELE needs a message number", "DELE braucht eine Nachrichtennummer",
	  "DELE にはメッセージ番号が必要です" },
	{ "Marked to be deleted", "Zum Löschen vorgemerkt", "削除予定にしました" },
	{ "This maildrop can only be read", "Dieses Postfach kann nur gelesen werden",
	  "このメールボックスは読み取り専用です" },
	{ "RSET takes no argument", "RSET nimmt kein Argument", "RSET に引数はありません" },
	{ "Nothing is marked any more", "Nichts ist mehr vorgemerkt", "削除予定をすべて取り消しました" },
	{ "NOOP takes no argument", "NOOP nimmt kein Argument", "NOOP に引数はありません" },
	{ "Nothing done", "Nichts getan", "何もしていません" },
	{ "QUIT takes no argument", "QUIT nimmt kein Argument", "QUIT に引数はありません" },
	{ "%u message deleted, goodbye", "%u Nachricht gelöscht, auf Wiedersehen",
	  "%u 通を削除しました。さようなら" },
	{ "%u messages deleted, goodbye", "%u Nachrichten gelöscht, auf Wiedersehen",
	  "%u 通を削除しました。さようなら" },
	{ "Out of memory, nothing was deleted", "Kein Speicher mehr, nichts wurde gelöscht",
	  "メモリが足りません。何も削除していません" },

	/* RETR, TOP */
	{ "RETR needs a message number", "RETR braucht eine Nachrichtennummer",
	  "RETR にはメッセージ番号が必要です" },
	{ "TOP needs a message number and a number of lines",
	  "TOP braucht eine Nachrichtennummer und eine Zahl von Zeilen",
	  "TOP にはメッセージ番号と行数が必要です" },
	{ "%llu octets", "%llu Oktette", "%llu オクテット" },
	{ "The message follows, its header put into ASCII",
	  "Es folgt die Nachricht, ihr Kopf in ASCII übertragen",
	  "ヘッダーを ASCII にしたメッセージです" },
	{ "The message needs UTF8", "Die Nachricht braucht UTF8", "このメッセージには UTF8 が必要です" },
	{ "The message is damaged", "Die Nachricht ist beschädigt", "メッセージが壊れています" },
	{ "The message was expunged by another session",
	  "Die Nachricht wurde in einer anderen Sitzung gelöscht",
	  "メッセージは別のセッションで削除されました" },
};

#define TEXT_COUNT (sizeof texts / sizeof texts[0])

const struct pop3_language *
pop3_language_find(struct slice range)
{
	while (range.len > 0) {
		for (const struct pop3_language *l = pop3_languages; l->tag != NULL; l++)
			if (slice_eq_nocase(range, slice_str(l->tag)))
				return l;
		do {
			range.len--;
		} while (range.len > 0 && range.ptr[range.len] != '-');
	}
	return NULL;
}

const char *
pop3_text(const struct pop3_language *lang, const char *english, size_t *code_len)
{
	const char *code_end = english[0] == '[' ? strchr(english, ' ') : NULL;
	const char *text = code_end == NULL ? english : code_end + 1;

	*code_len = (size_t)(text - english);
	for (size_t i = 0; lang != &pop3_languages[ENGLISH] && i < TEXT_COUNT; i++)
		if (strcmp(texts[i][ENGLISH], text) == 0)
			return texts[i][lang - pop3_languages];
	return text;
}

const char *
pop3_text_row(size_t i, size_t lang)
{
	return i < TEXT_COUNT && lang < LANGUAGE_COUNT ? texts[i][lang] : NULL;
}

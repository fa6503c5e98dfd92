/* sha256 - see sha256.h. */
#include "store/sha256.h"

#include <pthread.h>
#include <stddef.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *method;          /* the process's; NULL: it cannot be kept */

static void
find_method(void)
{
	method = EVP_MD_fetch(NULL, "SHA256", NULL);
}

const EVP_MD *
sha256_method(void)
{
	(void)pthread_once(&once, find_method);
	return method != NULL ? method : EVP_sha256();
}

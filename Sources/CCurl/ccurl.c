#include "ccurl.h"

bool fallow_curl_set_number(CURL *easy, CURLoption option, int64_t value)
{
	if (option >= CURLOPTTYPE_OFF_T)
		return curl_easy_setopt(easy, option, (curl_off_t)value) == CURLE_OK;
	return curl_easy_setopt(easy, option, (long)value) == CURLE_OK;
}

bool fallow_curl_set_pointer(CURL *easy, CURLoption option, const void *value)
{
	return curl_easy_setopt(easy, option, value) == CURLE_OK;
}

bool fallow_curl_set_bytes(CURL *easy, CURLoption function, CURLoption data, fallow_curl_bytes call, void *context)
{
	return curl_easy_setopt(easy, function, call) == CURLE_OK && curl_easy_setopt(easy, data, context) == CURLE_OK;
}

bool fallow_curl_set_seek(CURL *easy, fallow_curl_seek call, void *context)
{
	return curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, call) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_SEEKDATA, context) == CURLE_OK;
}

long fallow_curl_status(CURL *easy)
{
	long status = 0;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

CURL *fallow_curl_next_done(CURLM *multi, CURLcode *result)
{
	int left;
	const CURLMsg *message;
	while ((message = curl_multi_info_read(multi, &left)) != NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		*result = message->data.result;
		return message->easy_handle;
	}
	return NULL;
}

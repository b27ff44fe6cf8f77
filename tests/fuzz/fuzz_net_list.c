/*
 * fuzz_net_list.c: listings of folders from the other party. What is accepted stays inside its folder, has as many hashes as chunks,
 * and comes back the same when it is written and parsed again.
 */
#include "fuzz.h"

#include "protocols/net.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ul_err err = {0};
	ul_net_list l = {0}, again = {0};
	ul_buf text = {0};
	bool ok = ul_net_list_parse(&l, (const char *)data, size, (uint64_t)1 << 32, &err);
	size_t chunks = 0;
	for (int i = 0; ok && i < l.files; i++) {
		const ul_net_file *f = &l.file[i];
		UL_ASSERT(f->name[0] != '/' && f->name[0] != '.' && !strstr(f->name, "/.") && !strstr(f->name, "//"), "%s", f->name);
		UL_ASSERT(f->first == chunks, "%zu", f->first);
		chunks += f->chunks;
		for (size_t c = 0; c < f->chunks; c++)
			UL_ASSERT(ul_net_chunk_bytes(f, c) > 0 && ul_net_chunk_bytes(f, c) <= UL_NET_CHUNK, "%zu", c);
	}
	UL_ASSERT(!ok || (chunks == l.chunks && l.bytes <= (uint64_t)1 << 32), "%zu", chunks);
	if (ok) {
		bool same = ul_net_list_text(&l, &text, &err) && ul_net_list_parse(&again, text.data, text.len, (uint64_t)1 << 32, &err);
		UL_ASSERT(same && again.files == l.files && again.bytes == l.bytes && memcmp(again.sha, l.sha, l.chunks * sizeof *l.sha) == 0, "%s", err.msg);
	}
	fuzz_verdict(ok, &err);
	ul_net_list_release(&l);
	ul_net_list_release(&again);
	ul_buf_release(&text);
	return 0;
}

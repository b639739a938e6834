/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzzer's target over files, and over all files of folders, without libFuzzer: so the corpora are part of the
 * unit tests of every compiler. Each input is copied to a block of its exact size, so that reading behind it is seen.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT_INPUT (4u << 20)

static bool replay_file(const char *path, size_t *count)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > LIMIT_INPUT) {
		fprintf(stderr, "%s: %s\n", path, fd < 0 ? strerror(errno) : "cannot be read");
		return false;
	}
	autofree uint8_t *data = xmalloc((size_t)st.st_size);
	ssize_t n = read(fd, data, (size_t)st.st_size);
	if (n != st.st_size)
		return false;
	LLVMFuzzerTestOneInput(data, (size_t)n);
	(*count)++;
	return true;
}

static bool replay(const char *path, size_t *count)
{
	struct stat st;
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return replay_file(path, count);
	DIR *dir = opendir(path);
	bool good = dir != NULL;
	for (struct dirent *e; good && (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		autofree char *inner = xasprintf("%s/%s", path, e->d_name);
		good = replay(inner, count);
	}
	if (dir)
		closedir(dir);
	return good;
}

int main(int argc, char **argv)
{
	size_t count = 0;
	/* what a fuzzer tries first */
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++)
		if (!replay(argv[i], &count))
			return 1;
	if (argc > 1 && !count) {
		fprintf(stderr, "no input at all\n");
		return 1;
	}
	printf("%zu inputs\n", count);
	return 0;
}

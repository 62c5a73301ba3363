/* Counts a program's ioctls of device-mapper: preloaded, it writes the number of each, a line each, behind the file that
 * IOCTL_LOG names. A tracer would tell as much, at twice the time of what it traces. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int file, unsigned long request, ...)
{
	va_list arguments;
	void *argument;
	const char *log = getenv("IOCTL_LOG");

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (log && (request >> 8 & 0xff) == 0xfd) {
		char line[32];
		int length = snprintf(line, sizeof line, "%lu\n", request & 0xff);
		int out = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

		if (out < 0 || write(out, line, (size_t)length) != length)
			abort();
		close(out);
	}
	return (int)syscall(SYS_ioctl, file, request, argument);
}

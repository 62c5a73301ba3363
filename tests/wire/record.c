/* Writes down the ioctls of a program and what a kernel makes of them. Not built by cargo; README.md beside this says
 * how the *.calls files were made with it.
 *
 *   cc -shared -fPIC -o record.so record.c     LD_PRELOAD it: every ioctl of type 0xfd goes to $RECORD
 *   cc -DEDGES -o edges record.c               calls of its own, which no client makes: writes to $RECORD too
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/ioctl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A line of hex, zeros at the end left out. */
static void hex(FILE *out, const char *what, const unsigned char *bytes, size_t size)
{
	while (size && !bytes[size - 1])
		size--;
	fprintf(out, "%s ", what);
	for (size_t i = 0; i < size; i++)
		fprintf(out, "%02x", bytes[i]);
	fputc('\n', out);
}

static int recorded(int fd, unsigned long number, struct dm_ioctl *buffer, size_t size)
{
	FILE *out = fopen(getenv("RECORD"), "a");
	unsigned char *sent = malloc(size);
	memcpy(sent, buffer, size);
	int result = syscall(SYS_ioctl, fd, number, buffer);
	int error = result < 0 ? errno : 0;
	fprintf(out, "call %#lx %zu %d\n", number & 0xffffffff, size, error);
	hex(out, "sent", sent, size);
	hex(out, "got", (unsigned char *)buffer, size);
	fclose(out);
	free(sent);
	errno = error;
	return result;
}

#ifndef EDGES
int ioctl(int fd, unsigned long number, ...)
{
	va_list arguments;
	va_start(arguments, number);
	void *argument = va_arg(arguments, void *);
	va_end(arguments);
	if ((number >> 8 & 0xff) != DM_IOCTL)
		return syscall(SYS_ioctl, fd, number, argument);
	return recorded(fd, number, argument, ((struct dm_ioctl *)argument)->data_size);
}
#else
static int control;
static char space[16384];

static struct dm_ioctl *request(const char *name, unsigned flags)
{
	struct dm_ioctl *r = (struct dm_ioctl *)space;
	memset(space, 0, sizeof space);
	r->version[0] = 4;
	r->data_start = sizeof *r;
	r->flags = flags;
	strcpy(r->name, name);
	return r;
}

/* Sends it with that much room for data; the space behind it is the caller's. */
static void call(unsigned long number, struct dm_ioctl *r, size_t room)
{
	r->data_size = sizeof *r + room;
	recorded(control, number, r, r->data_size);
}

/* With plenty of room, then with each room around where that reply begins to fit. */
static void around(unsigned long number, const char *name, unsigned flags, const char *message)
{
	size_t rooms[12] = { 4096 };
	for (int i = 0; i < 12; i++) {
		struct dm_ioctl *r = request(name, flags);
		if (message)
			strcpy(space + sizeof *r + 8, message);
		if (!message || rooms[i] > 8 + strlen(message))
			call(number, r, rooms[i]);
		if (!i)
			for (int j = 1; j < 11; j++)
				rooms[j] = r->data_size - sizeof *r + j - 2;
	}
}

int main(void)
{
	control = open("/dev/mapper/control", O_RDWR);
	around(DM_LIST_DEVICES, "", 0, NULL);
	around(DM_LIST_DEVICES, "", DM_UUID_FLAG, NULL);
	around(DM_LIST_VERSIONS, "", 0, NULL);
	around(DM_GET_TARGET_VERSION, "linear", 0, NULL);
	around(DM_TABLE_STATUS, "vol0", DM_STATUS_TABLE_FLAG, NULL);
	around(DM_TABLE_STATUS, "even", DM_STATUS_TABLE_FLAG, NULL);
	around(DM_TABLE_DEPS, "vol0", 0, NULL);
	around(DM_TARGET_MSG, "vol0", 0, "@stats_print 0");

	/* Bits that nobody knows, and bits that are the driver's, come back so: */
	call(DM_DEV_STATUS, request("vol0", 0xffffffff & ~DM_SECURE_DATA_FLAG & ~DM_QUERY_INACTIVE_TABLE_FLAG), 64);
	/* a secret leaves no trace: */
	call(DM_TABLE_STATUS, request("vol0", DM_STATUS_TABLE_FLAG | DM_SECURE_DATA_FLAG), 1024);
	call(DM_DEV_STATUS, request("vol0", DM_SECURE_DATA_FLAG), 64);
	/* a caller that knows more than the driver, or a command that it does not know: */
	struct dm_ioctl *r = request("vol0", 0);
	r->version[1] = 4000;
	call(DM_DEV_STATUS, r, 0);
	call(0xfd12, request("vol0", 0), 0);
	/* the size in the number does not count, nor does data of a command that has none: */
	call(0xfd07, request("vol0", 0), 0);
	r = request("vol0", 0);
	r->data_size = 305;
	recorded(control, DM_DEV_STATUS, r, 305);
	r = request("vol0", 0);
	r->data_size = 304;
	recorded(control, DM_DEV_STATUS, r, 312);
	/* a line of a table that overlaps the one before it, is out of line, or is not all there: */
	for (int i = 0; i < 3; i++) {
		struct dm_target_spec *spec = (void *)(space + sizeof *r);
		r = request("vol0", 0);
		r->target_count = 2;
		spec->length = 8;
		spec->next = (unsigned[]){ 40, 44, 56 }[i];
		strcpy(spec->target_type, "zero");
		call(DM_TABLE_LOAD, r, i == 2 ? 96 : 512);
	}
	/* a message without an end, a name that begins in the header: */
	r = request("vol0", 0);
	memset(space + sizeof *r, 'x', 64);
	call(DM_TARGET_MSG, r, 64);
	r = request("vol0", 0);
	r->data_start = 304;
	call(DM_DEV_RENAME, r, 64);
	return 0;
}
#endif

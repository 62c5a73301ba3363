/* The three programs that tests/kernel/uml needs, in one static binary; the name it is called by picks the role:
 *
 *   fence DIR PARENT CMD...  on the host: runs CMD (the User-Mode Linux kernel) so that nothing of it outlives PARENT;
 *                            as root also in a mount and pid namespace, read-only but for the paths in DIR/spec
 *   init                     in the guest, pid 1: lays tmpfs over the host's read-only tree, runs the program, powers off
 *   modprobe                 in the guest, called by the kernel: loads a module and what it depends on
 *
 * DIR is the run's scratch directory; DIR/spec holds NUL-ended records, the first byte says what each is: S a shared
 * directory, D a disk file, E an environment variable (NAME=VALUE, or NAME to remove it), C the directory to start in,
 * A an argument of the program. DIR/status is written last: without it the guest died.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOADER "/run/uml/modprobe"
#define MAX_ARGS 4096

static int in_guest; /* only there is power-off ours to call */

static void die(const char *what, const char *which)
{
	fprintf(stderr, "uml: %s %s: %s\n", what, which, strerror(errno));
	if (in_guest) reboot(RB_POWER_OFF);
	_exit(125);
}

static char *path(const char *format, ...)
{
	char *text;
	va_list args;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0) die("cannot allocate", format);
	va_end(args);
	return text;
}

/* The whole of a file, with one NUL more than it has; NULL when it cannot be read. */
static char *slurp(const char *file, size_t *length)
{
	struct stat st;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) return NULL;
	char *text = calloc(1, st.st_size + 1);
	size_t got = 0;
	for (ssize_t n; got < (size_t)st.st_size && (n = read(fd, text + got, st.st_size - got)) > 0;) got += n;
	close(fd);
	if (length) *length = got;
	return text;
}

/* Steps through the records of a spec: the next one that starts with `kind`, or NULL. */
static char *record(char *spec, size_t length, char kind, size_t *at)
{
	while (*at < length) {
		char *this = spec + *at;
		*at += strlen(this) + 1;
		if (*this == kind) return this + 1;
	}
	return NULL;
}

/* ---- fence ---- */

static volatile pid_t guarded;

static void end_guarded(int signal)
{
	(void)signal;
	kill(-guarded, SIGKILL);
}

static void set_read_only(const char *where, int recursive, int on)
{
	struct mount_attr attr = { .attr_set = on ? MOUNT_ATTR_RDONLY : 0, .attr_clr = on ? 0 : MOUNT_ATTR_RDONLY };
	if (syscall(SYS_mount_setattr, AT_FDCWD, where, recursive ? 0x8000 /* AT_RECURSIVE */ : 0, &attr, sizeof attr) < 0)
		die("cannot change the mount of", where);
}

/* The namespace's own view of the host: what the spec names stays writable, all else does not. */
static void close_the_tree(const char *dir)
{
	char *writable[MAX_ARGS] = { strdup(dir) };
	size_t length, at = 0, count = 1;
	char *spec = slurp(path("%s/spec", dir), &length);
	if (!spec) die("cannot read the spec in", dir);
	for (const char *kinds = "SD"; *kinds; kinds++, at = 0)
		for (char *this; count < MAX_ARGS && (this = record(spec, length, *kinds, &at));) writable[count++] = this;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) die("cannot make private", "/");
	for (size_t i = 0; i < count; i++)
		if (mount(writable[i], writable[i], NULL, MS_BIND | MS_REC, NULL) < 0) die("cannot bind", writable[i]);
	set_read_only("/", 1, 1);
	for (size_t i = 0; i < count; i++) set_read_only(writable[i], 0, 0);
	/* /proc/1/root of the old /proc would lead the guest's hostfs round the fence. */
	if (mount("proc", "/proc", "proc", MS_RDONLY, NULL) < 0) die("cannot mount", "/proc");
	char *memory = path("%s/memory", dir); /* the guest's RAM: a deleted file there, gone with the namespace */
	mkdir(memory, 0700);
	if (mount("tmpfs", memory, "tmpfs", 0, NULL) < 0) die("cannot mount", memory);
	setenv("TMPDIR", memory, 1);
}

/* Waits for a child, then for what it left behind; a namespace's pid 1 need not, its end is the end of all in there. */
static int reap_all(pid_t first)
{
	int status, code = 125;
	for (pid_t pid; (pid = wait(&status)) > 0 || errno == EINTR;) {
		if (pid != first) continue;
		code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		if (getpid() == 1) break;
		kill(-first, SIGKILL);
	}
	return code;
}

static int fence(const char *dir, pid_t parent, char **command)
{
	sigset_t term;
	sigemptyset(&term), sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL); /* until it is known whom to end */
	signal(SIGTERM, end_guarded);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent) return 125; /* it died before the line above */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	int apart = geteuid() == 0 && !getenv("UML_NO_FENCE");
	if (apart && unshare(CLONE_NEWNS | CLONE_NEWPID) < 0) die("UML_NO_FENCE=1 does without; cannot make", "a mount and pid namespace");
	pid_t pid = guarded = fork();
	setpgid(pid, pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGTERM, SIG_DFL);
		sigprocmask(SIG_UNBLOCK, &term, NULL);
		if (apart) close_the_tree(dir);
		/* As pid 1 of a pid namespace the kernel would hang in abort() after a panic. */
		if (apart && (pid = fork()) > 0) _exit(reap_all(pid));
		execv(command[0], command);
		die("cannot run", command[0]);
	}
	sigprocmask(SIG_UNBLOCK, &term, NULL);
	return reap_all(pid);
}

/* ---- modprobe ---- */

static char *modules_dir(void)
{
	struct utsname kernel;
	uname(&kernel);
	char *debian = path("/usr/lib/uml/modules/%s", kernel.release);
	return access(debian, F_OK) == 0 ? debian : path("/lib/modules/%s", kernel.release);
}

static void underscore(char *name)
{
	for (; *name; name++)
		if (*name == '-') *name = '_';
}

static int load_file(const char *dir, const char *module)
{
	int fd = open(path("%s/%s", dir, module), O_RDONLY | O_CLOEXEC);
	int failed = fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST);
	if (fd >= 0) close(fd);
	return failed;
}

/* A line of modules.dep, "a/b.ko: all it needs, nearest first", is the order of loading read backwards. */
static int load_line(const char *dir, char *line)
{
	char *words[64];
	int count = 0, failed = 0;
	line[strcspn(line, ":")] = ' ';
	for (char *word = strtok(line, " "); word && count < 64; word = strtok(NULL, " ")) words[count++] = word;
	while (count-- > 0) failed = load_file(dir, words[count]);
	return failed;
}

static int load_module(const char *dir, const char *name)
{
	char *text = slurp(path("%s/modules.dep", dir), NULL), *line;
	while (text && (line = strsep(&text, "\n"))) {
		char *colon = strchr(line, ':');
		if (!colon || colon - line < 4) continue;
		char *base = path("%.*s", (int)(colon - line) - 3, line);
		underscore(base);
		if (strcmp(strrchr(base, '/') ? strrchr(base, '/') + 1 : base, name) == 0) return load_line(dir, line);
		free(base);
	}
	return -1;
}

static int modprobe(char *name)
{
	char *dir = modules_dir(), *line;
	underscore(name);
	int failed = load_module(dir, name);
	if (failed >= 0) return failed;
	failed = 1;
	for (char *text = slurp(path("%s/modules.alias", dir), NULL); text && (line = strsep(&text, "\n"));) {
		char alias[256], module[256];
		if (sscanf(line, "alias %255s %255s", alias, module) != 2) continue;
		underscore(alias);
		if (fnmatch(alias, name, 0) == 0 && load_module(dir, module) == 0) failed = 0;
	}
	return failed;
}

/* ---- init ---- */

static void attach(const char *type, const char *where, unsigned long flags, const char *options)
{
	for (char *slash = strdup(where), *at = slash; (at = strchr(at + 1, '/')); *at = '/') *at = 0, mkdir(slash, 0755);
	mkdir(where, 0755);
	if (mount(type, where, type, flags, options) < 0) die("cannot mount", where);
}

/* Reads fall through to the host's tree, writes stay in memory. */
static void lay_root(void)
{
	attach("tmpfs", "/mnt", 0, "mode=755"); /* a scratch mount point that any host has */
	mkdir("/mnt/upper", 0755), mkdir("/mnt/work", 0755), mkdir("/mnt/root", 0755);
	attach("overlay", "/mnt/root", 0, "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work");
	if (chdir("/mnt/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) die("cannot enter", "/mnt/root");
}

/* Device nodes whose first opening loads a module: loop-control, fuse, mapper/control ... */
static void make_nodes(void)
{
	char *text = slurp(path("%s/modules.devname", modules_dir()), NULL), *line;
	while (text && (line = strsep(&text, "\n"))) {
		char node[128], kind;
		unsigned major_number, minor_number;
		if (sscanf(line, "%*s %127s %c%u:%u", node, &kind, &major_number, &minor_number) != 4) continue;
		if (strchr(node, '/')) mkdir(path("/dev/%.*s", (int)(strchr(node, '/') - node), node), 0755);
		mknod(path("/dev/%s", node), (kind == 'b' ? S_IFBLK : S_IFCHR) | 0600, makedev(major_number, minor_number));
	}
}

static void furnish(void)
{
	attach("proc", "/proc", 0, NULL);
	attach("sysfs", "/sys", 0, NULL);
	attach("devtmpfs", "/dev", 0, "mode=755");
	attach("devpts", "/dev/pts", 0, "ptmxmode=666");
	attach("tmpfs", "/dev/shm", 0, "mode=1777");
	attach("tmpfs", "/run", 0, "mode=755");
	symlink("/proc/self/fd", "/dev/fd");
	for (int fd = 0; fd < 3; fd++) symlink(path("/proc/self/fd/%d", fd), path("/dev/%s", (char *[]){ "stdin", "stdout", "stderr" }[fd]));
	mkdir("/run/uml", 0755), mkdir("/run/lock", 01777);
	close(open(LOADER, O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
	if (mount("/proc/self/exe", LOADER, NULL, MS_BIND, NULL) < 0) die("cannot bind", LOADER);
	int fd = open("/proc/sys/kernel/modprobe", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, LOADER, strlen(LOADER)) < 0) die("cannot write", "/proc/sys/kernel/modprobe");
	close(fd);
	unlink("/sbin/modprobe"), symlink(LOADER, "/sbin/modprobe"); /* kmod's own would look in /lib/modules */
	make_nodes();
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	ioctl(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), SIOCSIFFLAGS, &loopback);
}

static void start_program(char *spec, size_t length)
{
	static char *args[MAX_ARGS];
	size_t at = 0;
	int count = 0;
	char *text;
	clearenv();
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1), setenv("LANG", "C", 1), setenv("TMPDIR", "/tmp", 1), setenv("DM_DISABLE_UDEV", "1", 1);
	while ((text = record(spec, length, 'E', &at)))
		if (strchr(text, '=')) putenv(text);
		else unsetenv(text);
	at = 0;
	text = record(spec, length, 'C', &at);
	if (!text || chdir(text) < 0) chdir("/");
	for (at = 0; count < MAX_ARGS - 1 && (text = record(spec, length, 'A', &at));) args[count++] = text;
	execvp(args[0], args);
	int failed = errno;
	fprintf(stderr, "uml: cannot run %s: %s\n", args[0], strerror(failed));
	_exit(failed == ENOENT ? 127 : 126);
}

/* Moves what a pipe holds now to its file; 0 when every writer has gone. */
static int drain(int from, int to)
{
	static char buffer[65536];
	ssize_t got;
	while ((got = read(from, buffer, sizeof buffer)) > 0)
		for (ssize_t done = 0, n; done < got; done += n)
			if ((n = write(to, buffer + done, got - done)) < 0) die("cannot write", "the output");
	return got < 0 && errno == EAGAIN;
}

/* Reaps, as pid 1 must; the status of `pid` as a shell would give it, or -1 while it runs. */
static int reap(pid_t pid)
{
	int status, code = -1;
	for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;)
		if (ended == pid) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return code;
}

/* Pipes, not the files themselves: a program that opens /dev/stdout anew would cut a file short. */
static int run_program(int signals, const int *files, char *spec, size_t length)
{
	int out[2], err[2], code = -1;
	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0) die("cannot make", "a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setsid();
		dup2(files[0], 0), dup2(out[1], 1), dup2(err[1], 2);
		start_program(spec, length);
	}
	close(out[1]), close(err[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK), fcntl(err[0], F_SETFL, O_NONBLOCK);
	struct pollfd on[] = { { signals, POLLIN, 0 }, { out[0], POLLIN, 0 }, { err[0], POLLIN, 0 } };
	while (code < 0) {
		struct signalfd_siginfo ended;
		poll(on, 3, -1);
		if (on[0].revents && read(signals, &ended, sizeof ended) > 0) code = reap(pid);
		if (on[1].fd >= 0 && !drain(out[0], files[1])) on[1].fd = -1;
		if (on[2].fd >= 0 && !drain(err[0], files[2])) on[2].fd = -1;
	}
	return code;
}

/* A device left suspended with dirty pages would hold sync up for ever, so pid 1 gives it three seconds. */
static void settle(int signals)
{
	kill(-1, SIGKILL);
	pid_t pid = fork();
	if (pid == 0) sync(), _exit(0);
	for (int tries = 0; tries < 300 && reap(pid) < 0; tries++) poll(&(struct pollfd){ signals, POLLIN, 0 }, 1, 10);
}

static void init(const char *dir)
{
	static const char *names[] = { "stdin", "stdout", "stderr", "status" };
	int files[4];
	size_t length, at = 0;
	sigset_t child;
	sigemptyset(&child), sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	attach("proc", "/proc", 0, NULL);
	modprobe((char[]){ "overlay" });
	modprobe((char[]){ "dm-mod" });
	lay_root();
	attach("hostfs", "/run", 0, dir);
	char *spec = slurp("/run/spec", &length);
	for (int i = 0; i < 4; i++)
		if ((files[i] = open(path("/run/%s", names[i]), i ? O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0600)) < 0)
			die("cannot open", names[i]);
	umount2("/run", MNT_DETACH);
	furnish();
	for (char *share; (share = record(spec, length, 'S', &at));) attach("hostfs", share, 0, share);
	int code = run_program(signals, files, spec, length);
	settle(signals);
	dprintf(files[3], "%d\n", code);
	reboot(RB_POWER_OFF);
}

int main(int argc, char **argv)
{
	const char *role = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	if (strcmp(role, "fence") == 0 && argc > 3) return fence(argv[1], atoi(argv[2]), argv + 3);
	if (strcmp(role, "modprobe") == 0 && argc > 1) return modprobe(argv[argc - 1]);
	if (getpid() != 1 || !getenv("uml_run")) return fprintf(stderr, "uml: %s: is for tests/kernel/uml to call\n", role), 125;
	in_guest = 1;
	init(getenv("uml_run"));
}

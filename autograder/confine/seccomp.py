"""Seccomp: two filters that decide which system calls a student's process may make.

The first filter lists the allowed calls. Any other call fails with ENOSYS, as if the kernel did not have it. So calls
that are newer than the list are blocked, and the C library falls back to older ones. The second filter refuses with
EPERM the calls that are known to be dangerous, and dangerous arguments of allowed calls. The kernel runs both filters
and applies the stricter result. libseccomp compiles them once. A process cannot remove them, and its children inherit
them.
"""

from __future__ import annotations

import ctypes
import errno
import tempfile
from typing import IO, Any

from autograder.confine import kernel
from autograder.constants import WIRE_FD

_ALLOWED = """
access alarm arch_prctl brk capget clock_getres clock_gettime clock_nanosleep clone close copy_file_range dup dup2 dup3
creat chdir epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 exit exit_group
faccessat faccessat2 fadvise64 fallocate fchdir fcntl fdatasync fgetxattr flistxattr fork fstat fstatfs fsync
ftruncate futex futex_wait futex_waitv futex_wake getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups
getitimer get_mempolicy getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit
get_robust_list getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr kill lgetxattr link linkat
listxattr llistxattr lseek lstat madvise membarrier mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap
mprotect mremap mseal msync munlock munlockall munmap nanosleep newfstatat open openat pause pidfd_open
pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll pread64 preadv preadv2 prlimit64 pselect6
pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg rename renameat renameat2
restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam
sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval sched_setaffinity sched_yield
select sendfile sendmmsg sendmsg sendto setitimer setpgid setpriority setrlimit set_robust_list setsid setsockopt
set_tid_address shutdown sigaltstack signalfd signalfd4 socketpair stat statfs statx symlink symlinkat
sync_file_range sysinfo tgkill time timer_create timer_delete timerfd_create timerfd_gettime timerfd_settime
timer_getoverrun timer_gettime timer_settime times tkill truncate umask uname unlink unlinkat vfork wait4 waitid
write writev
"""

# Allowed only with a private root: sockets (the process has its own network), and the modes and times of files.
_ALLOWED_IN_PRIVATE = """
accept accept4 bind chmod connect fchmod fchmodat fchmodat2 futimesat listen socket utime utimensat utimes
"""

# Refused with EPERM. The first filter blocks them as well, but "Operation not permitted" explains the error better.
_FORBIDDEN = """
acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module execve execveat fanotify_init fanotify_mark
finit_module fremovexattr fsconfig fsetxattr fsmount fsopen fspick get_kernel_syms init_module io_cancel io_destroy
io_getevents io_pgetevents io_setup io_submit io_uring_enter io_uring_register io_uring_setup ioperm iopl ioprio_set
kcmp kexec_file_load kexec_load keyctl landlock_add_rule landlock_create_ruleset landlock_restrict_self
lookup_dcookie lremovexattr lsetxattr mbind memfd_secret migrate_pages modify_ldt mount mount_setattr move_mount
move_pages mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd
name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open personality pidfd_getfd pivot_root
process_madvise process_mrelease process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot removexattr
request_key sched_setattr sched_setparam sched_setscheduler seccomp semctl semget semop semtimedop setdomainname
setfsgid setfsuid setgid setgroups sethostname set_mempolicy setns setregid setresgid setresuid setreuid settimeofday
setuid setxattr shmat shmctl shmdt shmget swapoff swapon syslog umount umount2 unshare uselib userfaultfd vhangup
vmsplice
"""

_SIGNALS = "kill tkill tgkill pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo"
_SESSIONS = "setsid setpgid"
_OWNERSHIP = "chown chmod fchmod fchmodat fchmodat2 fchown fchownat futimesat lchown utime utimensat utimes"
_SOCKETS = "accept accept4 bind connect listen socket"

# FIOCLEX FIONCLEX FIONBIO FIONREAD TCGETS TIOCGWINSZ TIOCGPGRP: descriptor flags, and what isatty needs
_IOCTLS = (0x5451, 0x5450, 0x5421, 0x541B, 0x5401, 0x5413, 0x540F)
# PR_SET_SECCOMP (loads the second filter, which then refuses it) GET_DUMPABLE SET_NAME GET_NAME GET_SECCOMP
# CAPBSET_READ SET_TIMERSLACK GET_TIMERSLACK GET_NO_NEW_PRIVS, and SET_VMA, with which malloc names its memory
_PRCTLS = (22, 3, 15, 16, 21, 23, 29, 30, 39, 0x53564D41)
_PR_SET_PDEATHSIG = 1
# All jobs read the same library files, so two jobs could communicate through locks and notifications on them: GETLK
# SETLK SETLKW, the same three for open file descriptions, SETLEASE GETLEASE NOTIFY.
_LOCKS = (5, 6, 7, 36, 37, 38, 1024, 1025, 1026)
_SIGIO = (8, 10, 15)  # SETOWN SETSIG SETOWN_EX: make the kernel send signals
_CLONE_PARENT = 0x8000
_CLONE_NEW = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_AF_UNIX, _SOCK_DGRAM, _SOCK_SEQPACKET = 1, 2, 5
_SO_PEERPIDFD = 77
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_INT = 0xFFFFFFFF  # the kernel reads only the low half of an int argument, so only that half is compared


class FilterError(Exception):
    """libseccomp is missing, or it rejects the filter; the message says which."""


def build(*, private: bool, signals: bool) -> tuple[bytes, ...]:
    """The compiled filters, in the order to load them.

    `private`: the process has its own root, network and pid namespace. `signals`: it may send signals, because another
    layer keeps them inside the jail. `WIRE_FD` can be neither closed nor replaced, so that a notebook that closes every
    descriptor can still be graded.
    """
    try:
        import pyseccomp
    except (ImportError, RuntimeError) as error:
        raise FilterError(str(error)) from None
    try:
        return _allow_filter(pyseccomp, private, signals), _refuse_filter(pyseccomp, private, signals)
    except OSError as error:
        raise FilterError(f"libseccomp rejects the filter: {error}") from None


def _allow_filter(lib: Any, private: bool, signals: bool) -> bytes:
    allowed = lib.SyscallFilter(lib.ERRNO(errno.ENOSYS))
    names = set(_ALLOWED.split()) | set(_ALLOWED_IN_PRIVATE.split() if private else ())
    names -= set() if signals else set(_SIGNALS.split())
    for name in sorted(names):
        _rule(lib, allowed, lib.ALLOW, name)
    for command in _IOCTLS:
        _rule(lib, allowed, lib.ALLOW, "ioctl", lib.Arg(1, lib.EQ, command))
    for option in _PRCTLS:
        _rule(lib, allowed, lib.ALLOW, "prctl", lib.Arg(0, lib.EQ, option))
    # torch.multiprocessing sets a parent death signal, but the one that the jail has set must stay. So the call reports
    # success and does nothing: the pid namespace or the supervisor ends all processes together anyway.
    _rule(lib, allowed, lib.ERRNO(0), "prctl", lib.Arg(0, lib.EQ, _PR_SET_PDEATHSIG))
    return _compiled(lib, allowed)


def _refuse_filter(lib: Any, private: bool, signals: bool) -> bytes:
    refused = lib.SyscallFilter(lib.ALLOW)
    refuse, absent = lib.ERRNO(errno.EPERM), lib.ERRNO(errno.ENOSYS)

    def low_half(argument: int, value: int) -> Any:
        return lib.Arg(argument, lib.MASKED_EQ, _INT, value)

    names = _FORBIDDEN.split()
    if not private:
        names += [*_SESSIONS.split(), *_OWNERSHIP.split(), *_SOCKETS.split()]
        for kind in (_SOCK_DGRAM, _SOCK_SEQPACKET):  # a socket of such a pair could still send to a named socket
            _rule(lib, refused, refuse, "socketpair", lib.Arg(1, lib.MASKED_EQ, 0xF, kind))
    else:
        _rule(lib, refused, refuse, "socket", lib.Arg(0, lib.NE, _AF_UNIX))
        names += ["chown", "fchown", "fchownat", "lchown"]
    _rule(lib, refused, refuse, "socketpair", lib.Arg(0, lib.NE, _AF_UNIX))
    for name in names:
        _rule(lib, refused, refuse, name)
    if not signals:
        for name in _SIGNALS.split():
            _rule(lib, refused, refuse, name)
    for flag in (_CLONE_PARENT, *_CLONE_NEW):
        _rule(lib, refused, refuse, "clone", lib.Arg(0, lib.MASKED_EQ, flag, flag))
    for command in (_TIOCSTI, _TIOCLINUX):
        _rule(lib, refused, refuse, "ioctl", low_half(1, command))
    for command in _LOCKS:
        _rule(lib, refused, absent, "fcntl", low_half(1, command))
    for command in _SIGIO:
        _rule(lib, refused, refuse, "fcntl", low_half(1, command))
    _rule(lib, refused, refuse, "prctl", low_half(0, kernel.PR_SET_SECCOMP))
    _rule(lib, refused, refuse, "getsockopt", low_half(2, _SO_PEERPIDFD))  # a handle to a process outside the jail
    _rule(lib, refused, refuse, "prlimit64", lib.Arg(0, lib.NE, 0))  # RLIMIT_CPU can kill another process
    _rule(lib, refused, refuse, "sched_setaffinity", lib.Arg(0, lib.NE, 0))
    _rule(lib, refused, refuse, "setpriority", lib.Arg(0, lib.NE, 0))
    _rule(lib, refused, refuse, "setpriority", lib.Arg(1, lib.NE, 0))
    for name in ("close", "shutdown", "connect"):
        _rule(lib, refused, refuse, name, low_half(0, WIRE_FD))
    for name in ("dup2", "dup3"):
        _rule(lib, refused, refuse, name, low_half(1, WIRE_FD))
    return _compiled(lib, refused)


def _rule(lib: Any, rules: Any, action: int, name: str, *arguments: Any) -> None:
    number = lib.resolve_syscall(lib.Arch.NATIVE, name)
    if number >= 0:  # negative: this architecture or libseccomp does not know the call, so it stays blocked
        rules.add_rule(action, number, *arguments)


def _compiled(lib: Any, rules: Any) -> bytes:
    """The filter as BPF code. It refuses calls of another ABI (32-bit, x32), whose numbers mean other calls."""
    rules.set_attr(lib.Attr.ACT_BADARCH, lib.ERRNO(errno.EPERM))
    file: IO[bytes]
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install(filters: tuple[bytes, ...]) -> None:
    """Load the filters into this process, permanently. Needs no_new_privs."""
    for instructions in filters:
        program = _Program(len(instructions) // 8, instructions)
        kernel.prctl(kernel.PR_SET_SECCOMP, 2, ctypes.byref(program))

# cython: language_level=3, boundscheck=True, nonecheck=True
"""The walks that nearly every value takes, in C: what `bridleway/fhir/forms/plain.py` has in Python.

Same names, same results; `tests/fhir/test_forms.py` compares them. A walk here is an object with
a method that C calls without Python; walks from elsewhere are wrapped once, by `native`.
"""

from collections import Counter

from orjson import JSONDecodeError
from orjson import loads as _loads

from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_GET_LENGTH, PyUnicode_Substring
from libc.string cimport memchr

from bridleway.fhir import resources
from bridleway.fhir.dates import moved, ordinals, texts
from bridleway.fhir.forms.plain import (
    NAMES_KEPT, NOTHING, PSEUDONYM_DIGITS, REMOVED, WITHOUT_TARGET, mark_absent,
)
from bridleway.fhir.numbers import LONG, require_double
from bridleway.fhir.numbers import require_not_zero as _require_not_zero
from bridleway.fhir.resources import KNOWN, MAX_LINE, MAX_TEXT, TINY, Wrong

cdef extern from *:
    const char *_BUILT_FOR "BUILT_FOR"
    const char *_BUILT_OF "BUILT_OF"

cdef extern from *:
    dict __Pyx_PyDict_NewPresized(Py_ssize_t)

cdef extern from "Python.h":
    int Py_EnterRecursiveCall(const char *where) except *
    void Py_LeaveRecursiveCall()

cdef Py_ssize_t _MAX_TEXT = MAX_TEXT
cdef Py_ssize_t _MAX_LINE = MAX_LINE
cdef Py_ssize_t _NAMES_KEPT = NAMES_KEPT
cdef Py_ssize_t _DIGITS = PSEUDONYM_DIGITS
cdef frozenset _KNOWN = KNOWN
cdef Py_ssize_t _LONG = LONG
cdef double _TINY = TINY
cdef object _ORDINALS = ordinals
cdef object _TEXTS = texts


cdef class Job:
    """What is known about the resource that is being walked."""

    cdef public object resource
    cdef public long shift
    cdef public long year
    cdef public bint tiny
    cdef public object local
    cdef public set tags
    cdef public object counts

    def __init__(self):
        self.local = {}
        self.tags = set()
        self.counts = Counter()


cdef class Walk:
    """What takes a value and the job, and returns what leaves in the value's place."""

    cdef object __weakref__

    cdef object go(self, object value, Job job):
        raise NotImplementedError

    def __call__(self, object value, Job job not None):
        return self.go(value, job)


cdef class _Foreign(Walk):
    """A walk that is written in Python."""

    cdef object walk

    def __init__(self, walk):
        self.walk = walk

    cdef object go(self, object value, Job job):
        return self.walk(value, job)


cdef inline Walk _native(object walk):
    return <Walk>walk if isinstance(walk, Walk) else _Foreign(walk)


def native(walk):
    """Return a walk as these forms call it best."""
    return None if walk is None else _native(walk)


cdef class _Namer:
    """What gives ids of one type their pseudonyms."""

    cdef readonly dict known
    cdef object inner
    cdef object outer

    def __init__(self, inner, outer):
        self.known = {}
        self.inner = inner
        self.outer = outer

    cdef object of(self, object identifier):
        """Return the pseudonym of an id, None for what is none."""
        if type(identifier) is not str:
            return None
        cdef PyObject *found = PyDict_GetItemWithError(self.known, identifier)
        if found is not NULL:
            return <object>found
        if not _is_id(identifier):
            return None
        if len(self.known) >= _NAMES_KEPT:
            self.known.clear()
        first = self.inner.copy()
        first.update((<str>identifier).encode())
        second = self.outer.copy()
        second.update(first.digest())
        made = (<str?>second.hexdigest())[:_DIGITS]
        self.known[identifier] = made
        return made

    def __call__(self, identifier):
        return self.of(identifier)


def namer(inner, outer):
    """Return what gives ids of one type their pseudonyms."""
    made = _Namer(inner, outer)
    return made.known, made


cdef bint _is_id(str told):
    """Tell whether a text is an id as FHIR R4 has it: 1 to 64 of A-Z, a-z, 0-9, - and ."""
    cdef Py_UCS4 one
    if not 0 < PyUnicode_GET_LENGTH(told) <= 64:
        return False
    for one in told:
        if not (u"a" <= one <= u"z" or u"0" <= one <= u"9" or u"A" <= one <= u"Z" or one in u"-."):
            return False
    return True


cdef class _Text(Walk):
    cdef object go(self, object value, Job job):
        if type(value) is not str:
            raise Wrong(resources.SHAPE)
        if PyUnicode_GET_LENGTH(value) > _MAX_TEXT:
            raise Wrong(resources.TOO_LONG)
        return value


cdef class _Truth(Walk):
    cdef object go(self, object value, Job job):
        if value is not True and value is not False:
            raise Wrong(resources.SHAPE)
        return value


cdef class _WholeNumber(Walk):
    cdef object go(self, object value, Job job):
        if type(value) is not int:
            raise Wrong(resources.SHAPE)
        return value


cdef class _Number(Walk):
    cdef object go(self, object value, Job job):
        if type(value) is float:
            if -_TINY < <double>value < _TINY:
                job.tiny = True
        elif type(value) is not int:
            raise Wrong(resources.SHAPE)
        elif not value:
            job.tiny = True
        return value


cdef inline object _moved(object value, Job job):
    """Return the text of a whole date's day moved, None for what is none or not met before."""
    cdef PyObject *day
    cdef PyObject *made
    if type(value) is not str or PyUnicode_GET_LENGTH(value) < 10:
        return None
    day = PyDict_GetItemWithError(_ORDINALS, PyUnicode_Substring(value, 0, 10))
    if day is NULL:
        return None
    made = PyDict_GetItemWithError(_TEXTS, <long>(<object>day) + job.shift)
    return None if made is NULL else <object>made


cdef class _Date(Walk):
    cdef object go(self, object value, Job job):
        made = _moved(value, job)
        return moved(value, job.shift) if made is None else made


cdef class _Instant(Walk):
    cdef object go(self, object value, Job job):
        if type(value) is not str:
            raise Wrong(resources.SHAPE)
        made = _moved(value, job)
        if made is None:
            made = texts[ordinals[value[:10]] + job.shift]
        return <str>made + "T00:00:00Z"


cdef class _Parts(Walk):
    """What `fields` and `root` have in common."""

    cdef object children
    cdef dict walks  # of walks and None alone
    cdef object required
    cdef bint is_own

    def __init__(self, children, required, bint is_own):
        self.children = children
        self.walks = {}
        self.required = required
        self.is_own = is_own

    cdef Walk found(self, str key):
        """Return the walk of an element that is met for the first time."""
        known = self.children.known
        made = known[key] if key in known else self.children.made(key)
        cdef Walk walk = None if made is None else _native(made)
        if key in known:  # others are not kept: there is no end of them
            self.walks[key] = walk
        return walk

    cdef int fill(self, dict told, dict out, Job job) except -1:
        """Put what leaves of each element into out."""
        cdef PyObject *found
        cdef Walk child
        cdef object made
        Py_EnterRecursiveCall(b" while elements are walked")
        try:
            for key, item in told.items():
                found = PyDict_GetItemWithError(self.walks, key)
                child = self.found(key) if found is NULL else <Walk>found
                if child is None:
                    continue
                made = child.go(item, job)
                if made is not None:
                    out[key] = made
                elif self.is_own and key in self.required:
                    mark_absent(out, told, key)
        finally:
            Py_LeaveRecursiveCall()
        return 0


cdef class _Fields(_Parts):
    cdef object go(self, object value, Job job):
        cdef dict out
        if type(value) is not dict:
            raise Wrong(resources.SHAPE)
        out = {}
        self.fill(<dict>value, out, job)
        return out or None


cdef class _Root(_Parts):
    cdef str type_name
    cdef _Namer namer
    cdef object meta

    def __init__(self, children, required, type_name, known_names, _Namer name not None, meta):
        _Parts.__init__(self, children, required, True)
        self.type_name = type_name
        self.namer = name
        self.meta = meta

    cdef object go(self, object value, Job job):
        cdef dict told = value
        name = self.namer.of(told.get("id"))
        if name is None:
            raise Wrong(resources.NO_ID)
        cdef dict out = __Pyx_PyDict_NewPresized(len(told))
        out["resourceType"] = self.type_name
        out["id"] = name
        out["meta"] = self.meta
        self.fill(told, out, job)
        return out


cdef class _Each(Walk):
    cdef Walk walk
    cdef bint is_primitive

    def __init__(self, walk, bint is_primitive):
        self.walk = _native(walk)
        self.is_primitive = is_primitive

    cdef object go(self, object value, Job job):
        if type(value) is not list:
            raise Wrong(resources.SHAPE)
        Py_EnterRecursiveCall(b" while a list is walked")  # as deep as Python's may go
        try:
            return self.items(<list>value, job)
        finally:
            Py_LeaveRecursiveCall()

    cdef object items(self, list told, Job job):
        cdef list out
        cdef object made
        cdef bint keeps_places = False, some = False
        if len(told) == 1:
            item = told[0]
            made = None if item is None and self.is_primitive else self.walk.go(item, job)
            return None if made is None else [made]
        if self.is_primitive:
            for item in told:
                if item is None:  # it keeps its place beside extensions
                    keeps_places = True
        out = []
        for item in told:
            made = None if keeps_places and item is None else self.walk.go(item, job)
            if made is not None:
                some = True
                out.append(made)
            elif keeps_places:
                out.append(None)
        return out if some else None


cdef object _counted(Job job, str what):
    """Count what leaves nothing."""
    cdef PyObject *before = PyDict_GetItemWithError(job.counts, what)
    job.counts[what] = 1 if before is NULL else <object>before + 1
    return None


cdef class _Reference(Walk):
    cdef dict known
    cdef object first

    def __init__(self, dict known not None, first):
        self.known = known
        self.first = first

    cdef object go(self, object value, Job job):
        cdef PyObject *told
        cdef PyObject *found
        if type(value) is not dict:
            return self.first(value, job)
        told = PyDict_GetItemWithError(<dict>value, "reference")
        if told is NULL or <object>told is None:
            return _counted(job, WITHOUT_TARGET)
        if type(<object>told) is not str:
            return self.first(value, job)
        found = PyDict_GetItemWithError(self.known, <object>told)
        if found is not NULL:
            return <object>found
        if (<str>told).startswith("#") and <object>told not in job.local:
            return _counted(job, REMOVED)
        return self.first(value, job)


cdef inline object _single(object value):
    """Return the one item of a list, None for what is no such list."""
    if type(value) is list and len(<list>value) == 1:
        return (<list>value)[0]
    return None


cdef class _ByCode(Walk):
    """What `coding`, `concept` and `concepts` have in common."""

    cdef dict known
    cdef object first

    def __init__(self, dict known not None, first):
        self.known = known
        self.first = first

    cdef object of(self, object one, object value, Job job):
        """Return what is known of a Coding, else what `first` says of the value that it is in."""
        cdef PyObject *system
        cdef PyObject *code
        cdef PyObject *found
        if type(one) is dict:
            system = PyDict_GetItemWithError(<dict>one, "system")
            code = PyDict_GetItemWithError(<dict>one, "code")
            if (
                system is not NULL and code is not NULL
                and type(<object>system) is str and type(<object>code) is str
            ):
                found = PyDict_GetItemWithError(self.known, (<object>system, <object>code))
                if found is not NULL:
                    return <object>found
        return self.first(value, job)


cdef class _Coding(_ByCode):
    cdef object go(self, object value, Job job):
        return self.of(value, value, job)


cdef class _Concept(_ByCode):
    cdef object go(self, object value, Job job):
        one = _single((<dict>value).get("coding")) if type(value) is dict else None
        return self.of(one, value, job)


cdef class _Concepts(_ByCode):
    cdef object go(self, object value, Job job):
        one = _single(value)
        one = _single((<dict>one).get("coding")) if type(one) is dict else None
        return self.of(one, value, job)


def subject(dict resource not None, tuple names not None):
    """Return the reference by which a resource names its patient, where that is quickly said."""
    cdef PyObject *one
    for name in names:
        one = PyDict_GetItemWithError(resource, name)
        if one is not NULL and <object>one is not None:
            told = (<dict>one).get("reference") if type(<object>one) is dict else None
            return told if type(told) is str and (<str>told).startswith("Patient/") else None
    return None


cdef inline bint _is_digit(char told) noexcept:
    return b"0" <= told <= b"9" or told == b"."


def walked(dict resource not None, dict kinds not None, dict people not None, Job job not None):
    """Walk at once what needs no thought; return None for any other resource."""
    cdef PyObject *kind = PyDict_GetItemWithError(kinds, resource["resourceType"])
    if kind is NULL:
        return None
    cdef tuple known = <tuple?>kind
    if not isinstance(known[0], Walk) or (known[2] and "contained" in resource):
        return None
    told = subject(resource, known[1])
    if told is None:
        return None
    cdef PyObject *person = PyDict_GetItemWithError(people, told)
    if person is NULL:
        return None
    shift, year, refused = <tuple?>person
    if refused:
        return None
    job.resource, job.tiny, job.local = resource, False, NOTHING
    job.shift, job.year = shift, year
    return (<Walk>known[0]).go(resource, job)


def parse(bytes line not None):
    """Read one resource. Raises Wrong."""
    if len(line) > _MAX_LINE:
        raise Wrong(resources.TOO_LONG)
    try:
        found = _loads(line)
    except (JSONDecodeError, RecursionError):
        raise Wrong(resources.UNREADABLE) from None
    if _has_run(line, len(line)):
        _look_at_numbers(line, True)
    kind = (<dict>found).get("resourceType") if type(found) is dict else None
    if type(kind) is not str or kind not in _KNOWN:
        raise Wrong(resources.NO_RESOURCE)
    return found


def require_not_zero(bytes line not None):
    """Refuse a line of which a number near to zero was kept that may have been another."""
    if _look_at_numbers(line, False):
        _require_not_zero(line)


cdef bint _has_run(const char *line, Py_ssize_t size) noexcept:
    """Tell whether so many digits and points stand in a row as long numbers have.

    A run has one of each so many bytes, so the others need not be looked at.
    """
    cdef Py_ssize_t at = _LONG - 1, begin, end
    while at < size:
        if _is_digit(line[at]):
            begin = end = at
            while begin > 0 and _is_digit(line[begin - 1]):
                begin -= 1
            while end + 1 < size and _is_digit(line[end + 1]):
                end += 1
            if end - begin + 1 >= _LONG:
                return True
        at += _LONG
    return False


cdef int _look_at_numbers(bytes line, bint long_ones) except -1:
    """Tell whether a number has a negative exponent; refuse long ones that are no doubles."""
    cdef const char *at = line
    cdef const char *end = at + len(line)
    cdef const char *begin
    cdef Py_ssize_t run, longest
    cdef bint small = False
    while at < end:
        if at[0] == b'"':
            at = _after_text(at + 1, end)
        elif b"0" <= at[0] <= b"9":
            begin, run, longest = at, 0, 0
            while at < end and (_is_digit(at[0]) or at[0] in (b"e", b"E", b"+", b"-")):
                run = run + 1 if _is_digit(at[0]) else 0
                longest = max(longest, run)
                if at[0] == b"-":
                    small = True
                at += 1
            if long_ones and longest >= _LONG:
                if begin > <const char *>line and begin[-1] == b"-":
                    begin -= 1
                require_double(begin[: at - begin].decode("ascii"))
        else:
            at += 1
    return small


cdef const char *_after_text(const char *at, const char *end) noexcept:
    """Return where a text's closing quote is followed, from after its opening one."""
    cdef const char *quote
    cdef const char *back
    while at < end:
        quote = <const char *>memchr(at, b'"', end - at)
        if quote is NULL:
            return end
        back = quote
        while back > at and back[-1] == b"\\":
            back -= 1
        if (quote - back) % 2 == 0:
            return quote + 1
        at = quote + 1
    return end


# SHA-256 of the Python that this is to equal, and of this text.
BUILT_FOR, BUILT_OF = _BUILT_FOR.decode("ascii"), _BUILT_OF.decode("ascii")
text, truth, whole_number, number = _Text(), _Truth(), _WholeNumber(), _Number()
date, instant = _Date(), _Instant()
fields, root, each, reference = _Fields, _Root, _Each, _Reference
coding, concept, concepts = _Coding, _Concept, _Concepts

"""The way along nodes of which all has been worked out before: what each needs is looked up.

Most nodes of a model are like another one, of the model itself or of one before. So this is where
the time of a large graph goes, and the first node that is not like any other ends the way.
"""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.set cimport PySet_Contains
from cpython.tuple cimport PyTuple_New, PyTuple_SetItem

from rfgraph.model._wire cimport Node


cdef class Step:
    """One node: for each of its outputs, the reads that make its elements.

    Attributes
    ----------
    node : Node
        The node.
    reads : list of list of Read
        By output.
    cycle : Cycle or None
        What is repeated before.
    answer : object
        What it goes back to, where that may hold for a trace in which constants cut reads.
    """

    def __init__(self, Node node not None, list reads not None, cycle=None, answer=None):
        self.node = node
        self.reads = reads
        self.cycle = cycle
        self.answer = answer


cdef tuple typed(tuple names, dict known, otherwise):
    """Element types and shapes of values; `otherwise` of those that are not known."""
    cdef Py_ssize_t k
    cdef PyObject* found
    cdef tuple made = PyTuple_New(len(names))
    for k in range(len(names)):
        found = PyDict_GetItemWithError(known, names[k])
        one = otherwise if found is NULL else <object> found
        Py_INCREF(one)
        PyTuple_SetItem(made, k, one)
    return made


def shaped(
    list nodes not None, Py_ssize_t at, dict known not None, unknown, dict contents not None
):
    """Go along nodes whose outputs are as those of others before.

    Parameters
    ----------
    nodes : list of Node
        In topological order.
    at : int
        Where to begin.
    known : dict of str to tuple
        Element type and shape of each value; outputs are added.
    unknown : tuple
        The same of what is not known.
    contents : dict of str to bytes
        The elements of small initializers, as far as somebody looked at them; those of constants
        are added.

    Returns
    -------
    int
        The position of the first node that is like none before; past the last one if all are.
    """
    cdef Node node
    cdef Py_ssize_t k
    cdef dict before
    cdef tuple outputs, given, made
    cdef PyObject* found
    while at < len(nodes):
        node = <Node?> nodes[at]
        outputs = node.outputs
        for k in range(len(outputs)):
            if PyDict_GetItemWithError(known, outputs[k]) is NULL:
                break
        else:
            at += 1
            continue
        given = typed(node.inputs, known, unknown)
        before = node.kind.known
        found = PyDict_GetItemWithError(before, given)
        if found is NULL and node.kind.steering is not None:
            found = steered(before, given, node.inputs, node.kind.steering, contents)
        if found is NULL:
            return at
        made = <tuple?> <object> found
        if len(outputs) != len(made):
            return at
        for k in range(len(outputs)):
            name = outputs[k]
            found = PyDict_GetItemWithError(known, name)
            if found is NULL or (<tuple> found)[1] is None:
                known[name] = made[k]
        if len(given) == 0 and node.kind.contents is not None:
            contents[outputs[0]] = node.kind.contents
        at += 1
    return at


cdef PyObject* steered(
    dict before, tuple given, tuple names, tuple steering, dict contents
) except? NULL:
    """What such nodes make, where contents have a say too; NULL if that is not known."""
    cdef PyObject* found
    cdef list told = []
    for k in steering:
        if k < len(names) and names[k]:
            found = PyDict_GetItemWithError(contents, names[k])
            if found is NULL:
                return NULL
            told.append(<object> found)
    return PyDict_GetItemWithError(before, (*given, *told))


def first_asked(Node node not None, names, set live not None, dict known not None):
    """What the answer of a transfer to a node rests on at first, as a key.

    Parameters
    ----------
    node : Node
        The node.
    names : sequence of str
        The values that its reads name by number.
    live : set of str
        The values that an input reaches.
    known : dict of str to tuple
        Element type and shape of each value.
    """
    cdef tuple sources = tuple(names)
    return (
        node.kind.number,
        reached(sources, live),
        typed(sources, known, None),
        typed(node.outputs, known, None),
    )


cdef tuple reached(tuple names, set live):
    """Which values an input reaches."""
    cdef Py_ssize_t k
    cdef tuple made = PyTuple_New(len(names))
    for k in range(len(names)):
        one = PySet_Contains(live, names[k]) == 1
        Py_INCREF(one)
        PyTuple_SetItem(made, k, one)
    return made


cdef bint is_any_reached(tuple names, set live) except -1:
    cdef Py_ssize_t k
    for k in range(len(names)):
        if PySet_Contains(live, names[k]):
            return True
    return False


def answered(
    list nodes not None,
    Py_ssize_t at,
    set live not None,
    dict known not None,
    dict answers not None,
    dict rules not None,
    type kind not None,
    list steps not None,
):
    """Go along nodes to which is answered what was answered to others before.

    Parameters
    ----------
    nodes : list of Node
        In topological order.
    at : int
        Where to begin.
    live : set of str
        The values that an input reaches; outputs are added.
    known : dict of str to tuple
        Element type and shape of each value.
    answers : dict
        What was answered, by `first_asked`; or something else, which leads on. It is added to by
        what the kind of a node was told in a model before.
    rules : dict
        What is registered: what a kind was told holds as long as nothing else is.
    kind : type
        The type of an answer.
    steps : list of Step
        The steps are added.

    Returns
    -------
    int
        The position of the first node that asks what none asked before, or of whose answer
        something is to be told; past the last one if there is none.
    """
    cdef Node node
    cdef Py_ssize_t k
    cdef list living
    cdef PyObject* found
    while at < len(nodes):
        node = <Node?> nodes[at]
        if node.body is not None or node.captures:
            return at
        if is_any_reached(node.inputs, live):
            key = first_asked(node, node.inputs, live, known)
            found = PyDict_GetItemWithError(answers, key)
            told = node.kind.told
            if found is NULL and told is not None:
                operator, registered, before = <tuple?> told
                found = PyDict_GetItemWithError(rules, operator)
                if found is not NULL:
                    if <object> found is registered:
                        found = PyDict_GetItemWithError(<dict?> before, key)
                    else:
                        found = NULL
            if found is NULL or type(<object> found) is not kind:
                return at
            answer = <object> found
            if answer.notes:
                return at
            living = <list?> answer.reached
            if living:
                if max(living) >= len(node.outputs):
                    return at
                answers[key] = answer
                steps.append(
                    Step(node, answer.reads, None, None if answer.rests_on_prune else answer)
                )
                for k in living:
                    live.add(node.outputs[k])
        at += 1
    return at


def unchanged(
    list nodes not None,
    Py_ssize_t at,
    list before not None,
    Py_ssize_t place,
    set live not None,
    knowledge,
    dead,
    list steps not None,
):
    """Go along nodes that read the same where constants cut reads as where they don't.

    Parameters
    ----------
    nodes : list of Node
        In topological order.
    at : int
        Where to begin.
    before : list of Step
        The steps where constants don't cut, in the same order.
    place : int
        The first of them that is not passed.
    live : set of str
        The values that an input reaches; outputs are added.
    knowledge : Knowledge
        What is known of values.
    dead : set of str
        Values that vary without an input that is read.
    steps : list of Step
        The steps are added.

    Returns
    -------
    at, place : int
        The position of the first node of which more than its constants has to be looked at, past
        the last one if there is none; and the first step that is not passed.
    """
    cdef Node node
    cdef Step earlier
    cdef Py_ssize_t k
    cdef dict facts = knowledge.varying
    cdef dict lacking = knowledge.lacking
    cdef tuple watched
    cdef set without
    while at < len(nodes):
        node = <Node?> nodes[at]
        if place >= len(before) or (<Step?> before[place]).node is not node:
            if dead or node.body is not None or node.captures or is_any_reached(node.inputs, live):
                break
            at += 1
            continue
        earlier = <Step> before[place]
        if earlier.answer is None or earlier.cycle is not None:
            break
        answer = earlier.answer
        if type(answer.watched) is not tuple or answer.notes:
            break
        if facts and is_any_known(node.inputs, facts):
            break
        watched = answer.watched
        for k in range(0, len(watched), 2):
            name = node.inputs[watched[k]]
            without = <set?> lacking[watched[k + 1]]
            if name not in without and not knowledge.lacks(name, watched[k + 1]):
                return at, place
        for k in <list?> answer.reached:
            live.add(node.outputs[k])
        steps.append(earlier)
        at += 1
        place += 1
    return at, place


cdef bint is_any_known(tuple names, dict facts) except -1:
    cdef Py_ssize_t k
    for k in range(len(names)):
        if PyDict_GetItemWithError(facts, names[k]) is not NULL:
            return True
    return False


def made_of(list nodes not None, name):
    """What a value is made of, directly or not, and itself; None where nodes repeat others.

    Parameters
    ----------
    nodes : list of Node
        In topological order.
    name : str
        The value.
    """
    cdef Node node
    cdef Py_ssize_t at, k
    cdef set found = {name}
    for at in range(len(nodes) - 1, -1, -1):
        node = <Node?> nodes[at]
        if node.body is not None:
            return None
        if is_any_reached(node.outputs, found):
            for k in range(len(node.inputs)):
                found.add(node.inputs[k])
            if node.captures:
                found.update(node.captures)
    return found


def outputs_of(list nodes not None):
    """Names of the values that nodes make, in their order; None where nodes repeat others."""
    cdef Node node
    cdef Py_ssize_t k
    cdef list found = []
    for one in nodes:
        node = <Node?> one
        if node.body is not None:
            return None
        for k in range(len(node.outputs)):
            if node.outputs[k]:
                found.append(node.outputs[k])
    return found

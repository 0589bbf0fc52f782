"""Nodes of a graph, and the wire format of an ONNX file, read without an object a field.

Protobuf's own library parses a graph in a twentieth of the time that it takes to look at each of
its nodes from Python. So what there is much of, nodes and initializers, is read here, and the rest
of the model is left to that library. Every length is checked before it is followed.

Sources: https://protobuf.dev/programming-guides/encoding/, and the numbers of the fields in
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy

from rfgraph.model import element_types

cdef enum:
    VARINT = 0
    FIXED64 = 1
    BYTES = 2
    FIXED32 = 5

    # A tag is a field's number, and what kind of content it has.
    MODEL_VERSION = 1 << 3 | VARINT
    MODEL_GRAPH = 7 << 3 | BYTES
    MODEL_OPERATOR_SET = 8 << 3 | BYTES
    MODEL_FUNCTION = 25 << 3 | BYTES

    OPERATOR_SET_DOMAIN = 1 << 3 | BYTES
    OPERATOR_SET_VERSION = 2 << 3 | VARINT

    GRAPH_NODE = 1 << 3 | BYTES
    GRAPH_INITIALIZER = 5 << 3 | BYTES
    GRAPH_INPUT = 11 << 3 | BYTES
    GRAPH_OUTPUT = 12 << 3 | BYTES
    GRAPH_VALUE_INFO = 13 << 3 | BYTES
    GRAPH_SPARSE_INITIALIZER = 15 << 3 | BYTES

    VALUE_NAME = 1 << 3 | BYTES
    VALUE_TYPE = 2 << 3 | BYTES

    TYPE_TENSOR = 1 << 3 | BYTES
    TYPE_SEQUENCE = 4 << 3 | BYTES
    TYPE_MAP = 5 << 3 | BYTES
    TYPE_OPAQUE = 7 << 3 | BYTES
    TYPE_SPARSE_TENSOR = 8 << 3 | BYTES
    TYPE_OPTIONAL = 9 << 3 | BYTES

    TENSOR_TYPE_ELEMENT = 1 << 3 | VARINT
    TENSOR_TYPE_SHAPE = 2 << 3 | BYTES

    SHAPE_DIM = 1 << 3 | BYTES

    DIM_VALUE = 1 << 3 | VARINT
    DIM_PARAM = 2 << 3 | BYTES

    NODE_INPUT = 1 << 3 | BYTES
    NODE_OUTPUT = 2 << 3 | BYTES
    NODE_NAME = 3 << 3 | BYTES
    NODE_OP_TYPE = 4 << 3 | BYTES
    NODE_ATTRIBUTE = 5 << 3 | BYTES
    NODE_DOMAIN = 7 << 3 | BYTES
    NODE_OVERLOAD = 8 << 3 | BYTES
    NODE_PROPERTY = 9 << 3 | BYTES

    PROPERTY_KEY = 1 << 3 | BYTES
    PROPERTY_VALUE = 2 << 3 | BYTES

    ATTRIBUTE_NAME = 1 << 3 | BYTES
    ATTRIBUTE_FLOAT = 2 << 3 | FIXED32
    ATTRIBUTE_INT = 3 << 3 | VARINT
    ATTRIBUTE_STRING = 4 << 3 | BYTES
    ATTRIBUTE_FLOATS = 7 << 3 | FIXED32
    ATTRIBUTE_PACKED_FLOATS = 7 << 3 | BYTES
    ATTRIBUTE_INTS = 8 << 3 | VARINT
    ATTRIBUTE_PACKED_INTS = 8 << 3 | BYTES
    ATTRIBUTE_STRINGS = 9 << 3 | BYTES
    ATTRIBUTE_TYPE = 20 << 3 | VARINT
    ATTRIBUTE_TENSOR = 5 << 3 | BYTES
    ATTRIBUTE_GRAPH = 6 << 3 | BYTES
    ATTRIBUTE_GRAPHS = 11 << 3 | BYTES

    TENSOR_DIM = 1 << 3 | VARINT
    TENSOR_DIMS = 1 << 3 | BYTES
    TENSOR_TYPE = 2 << 3 | VARINT
    TENSOR_FLOATS = 4
    TENSOR_INT32S = 5
    TENSOR_INT64S = 7
    TENSOR_DOUBLES = 10
    TENSOR_NAME = 8 << 3 | BYTES
    TENSOR_RAW = 9 << 3 | BYTES
    TENSOR_LOCATION = 14 << 3 | VARINT

    # Types of attributes.
    IS_FLOAT = 1
    IS_INT = 2
    IS_STRING = 3
    IS_TENSOR = 4
    IS_FLOATS = 6
    IS_INTS = 7
    IS_STRINGS = 8
    IS_TYPES = 14

    # protobuf's own limit of a message.
    LONGEST = 0x7FFFFFFF


# Nothing that it refers to refers to it, so there is no garbage to be looked for.
@cython.no_gc
@cython.final
cdef class Node:
    """One operator of the graph.

    Attributes
    ----------
    name : str
        The node's own name, or its type and position where it has none.
    kind : Kind
        What equal nodes have in common: operator and attributes.
    inputs, outputs : tuple of str
        Names of values; ``""`` for an optional one that is left out.
    captures : sequence of str
        Values that the node's subgraphs take from outside; of a node with a `body`, what it
        takes from that.
    opsets : mapping of str to int
        The operator sets that the node's subgraphs are to be read by.
    body : Body or None
        What the node repeats.
    named : bool
        Whether the name is its own.
    """

    def __init__(
        self, str name, kind, tuple inputs, tuple outputs, captures, opsets, body=None, named=True
    ):
        self.name = name
        self.kind = kind
        self.inputs = inputs
        self.outputs = outputs
        self.captures = captures
        self.opsets = opsets
        self.body = body
        self.named = named

    def __str__(self):
        domain = f"{self.domain}." if self.domain else ""
        return f"{domain}{self.op_type} '{self.name}'"

    def __repr__(self):
        return f"<{self}>"

    @property
    def op_type(self):
        """The operator."""
        return self.kind.op_type

    @property
    def domain(self):
        """The operator's domain; ``ai.onnx`` is written ``""``."""
        return self.kind.domain

    @property
    def version(self):
        """Version of the operator set that the node is to be read by."""
        return self.kind.version

    @property
    def attributes(self):
        """The node's attributes by name: int, float, str, list or proto."""
        return self.kind.attributes

    def attribute(self, name, default=None):
        """Value of the attribute `name`, else `default`."""
        return self.kind.attributes.get(name, default)

    @property
    def proto(self):
        """The node as a message of its own."""
        return self.kind.proto_of(self)


# A field of a message: its tag, where its content begins and where it ends; the value of a number.
cdef struct Field:
    uint64_t tag
    Py_ssize_t begin
    Py_ssize_t end
    uint64_t value


cdef uint64_t varint(const unsigned char* data, Py_ssize_t* at, Py_ssize_t end) except? 0:
    cdef uint64_t value = 0
    cdef int shift = 0
    cdef unsigned char byte
    while at[0] < end and shift < 70:
        byte = data[at[0]]
        at[0] += 1
        value |= (<uint64_t> (byte & 0x7F)) << shift if shift < 64 else 0
        if byte < 0x80:
            return value
        shift += 7
    raise ValueError("a number is cut off, or too long")


cdef int next_field(
    const unsigned char* data, Py_ssize_t* at, Py_ssize_t end, Field* field
) except -1:
    """Read the field at `at`, and go behind it."""
    cdef uint64_t length
    cdef int kind
    field.tag = varint(data, at, end)
    if field.tag < 8 or field.tag > 0xFFFFFFFFU:
        raise ValueError("a field has no number")
    kind = field.tag & 7
    field.begin = at[0]
    if kind == BYTES:
        length = varint(data, at, end)
        field.begin = at[0]
        if length > LONGEST or <Py_ssize_t> length > end - at[0]:
            raise ValueError("a field is cut off")
        at[0] += <Py_ssize_t> length
    elif kind == VARINT:
        field.value = varint(data, at, end)
    elif kind == FIXED64 or kind == FIXED32:
        length = 8 if kind == FIXED64 else 4
        if <Py_ssize_t> length > end - at[0]:
            raise ValueError("a field is cut off")
        at[0] += <Py_ssize_t> length
    else:
        raise ValueError("a field is of no kind that is known")
    field.end = at[0]
    return 0


cdef object text(const unsigned char* data, Field* field):
    """A string; bytes where it is none."""
    cdef const char* begin = <const char*> data + field.begin
    try:
        return PyUnicode_DecodeUTF8(begin, field.end - field.begin, NULL)
    except UnicodeDecodeError:
        return PyBytes_FromStringAndSize(begin, field.end - field.begin)


cdef bytes piece(const unsigned char* data, Py_ssize_t begin, Py_ssize_t end):
    return PyBytes_FromStringAndSize(<const char*> data + begin, end - begin)


cdef Node node(
    const unsigned char* data, Py_ssize_t at, Py_ssize_t end, dict names, dict kinds, object make,
    object opsets, Py_ssize_t index,
):
    cdef Field field
    cdef Py_ssize_t begin
    # The fields that are kept lie side by side, nearly always.
    cdef Py_ssize_t kept_from = at
    cdef Py_ssize_t kept_to = at
    cdef bytes kept = None
    cdef list inputs = [], outputs = [], into
    cdef tuple left_out = ()
    cdef object name = "", known, value
    while at < end:
        begin = at
        next_field(data, &at, end, &field)
        if field.tag == NODE_INPUT or field.tag == NODE_OUTPUT:
            into = inputs if field.tag == NODE_INPUT else outputs
            value = text(data, &field)
            known = names.get(value)
            if known is None:
                names[value] = known = value
            if field.begin == field.end:
                left_out += (len(into) if into is inputs else ~len(into),)
            into.append(known)
        elif field.tag == NODE_NAME:
            name = text(data, &field)
        elif field.tag in (NODE_OP_TYPE, NODE_ATTRIBUTE, NODE_DOMAIN, NODE_OVERLOAD):
            if begin != kept_to:
                kept = joined(kept, data, kept_from, kept_to)
                kept_from = begin
            kept_to = at
    kept = joined(kept, data, kept_from, kept_to)
    cdef tuple key = (kept, len(inputs), len(outputs), left_out)
    cdef object kind = kinds.get(key)
    if kind is None:
        kind = make(key, name)
    if not isinstance(name, str):
        raise ValueError("the name of a node is no text")
    cdef bint named = len(name) > 0
    if not named:
        name = f"{kind.op_type}_{index}"
    return Node(name, kind, tuple(inputs), tuple(outputs), kind.captures, opsets, None, named)


cdef bytes joined(bytes before, const unsigned char* data, Py_ssize_t begin, Py_ssize_t end):
    cdef bytes part = piece(data, begin, end)
    return part if before is None or not before else before + part


cdef tuple tensor(const unsigned char* data, Py_ssize_t at, Py_ssize_t end):
    """Name, element type and dimensions of a tensor, where it and its raw data lie, and where its
    contents are.
    """
    cdef Field field
    cdef Py_ssize_t begin = at, inner
    cdef tuple raw = None
    cdef list dims = []
    cdef object name = ""
    cdef int64_t kind = 0, location = 0
    while at < end:
        next_field(data, &at, end, &field)
        if field.tag == TENSOR_DIM:
            dims.append(<int64_t> field.value)
        elif field.tag == TENSOR_DIMS:
            inner = field.begin
            while inner < field.end:
                dims.append(<int64_t> varint(data, &inner, field.end))
        elif field.tag == TENSOR_TYPE:
            kind = <int> field.value
        elif field.tag == TENSOR_NAME:
            name = text(data, &field)
        elif field.tag == TENSOR_RAW:
            raw = (field.begin, field.end)
        elif field.tag == TENSOR_LOCATION:
            location = <int64_t> field.value
    return name, kind, tuple(dims), (begin, end), raw, location


cdef bytes delimited(int tag, bytes content):
    cdef bytearray out = bytearray()
    cdef uint64_t value
    for value in (tag, len(content)):
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
    return bytes(out) + content


def split(const unsigned char[::1] content not None):
    """The head of a model, and its initializers.

    Parameters
    ----------
    content : bytes-like
        The model.

    Returns
    -------
    head : bytes
        The model without the nodes and initializers of its graph.
    tensors : list of (str, int, tuple of int, (int, int), (int, int) or None, int)
        For each initializer its name, element type and shape, where its message begins and ends,
        where its raw data do if there are any, and the place of its contents, 1 if they lie in
        another file. A name that is no UTF-8 is given as bytes.

    Raises
    ------
    ValueError
        It is no message, or one that is cut off.
    """
    if content.shape[0] == 0:
        return b"", []
    cdef const unsigned char* data = &content[0]
    cdef Py_ssize_t at = 0, end = content.shape[0], inner, begin
    cdef Field outer, field
    cdef list head = [], rest, tensors = []
    while at < end:
        begin = at
        next_field(data, &at, end, &outer)
        if outer.tag != MODEL_GRAPH:
            head.append(piece(data, begin, at))
            continue
        rest = []
        inner = outer.begin
        while inner < outer.end:
            begin = inner
            next_field(data, &inner, outer.end, &field)
            if field.tag == GRAPH_INITIALIZER:
                tensors.append(tensor(data, field.begin, field.end))
            elif field.tag != GRAPH_NODE:
                rest.append(piece(data, begin, inner))
        head.append(delimited(MODEL_GRAPH, b"".join(rest)))
    return b"".join(head), tensors


def head(const unsigned char[::1] content not None):
    """What the head of a model says, which `split` gives.

    Returns
    -------
    version : int
        The version of the format.
    imports : list of (str, int)
        The operator sets, by domain and version.
    graph : bool
        Whether there is a graph at all.
    inputs, outputs : list of (str, int, tuple or None, bytes or None)
        What goes in and what comes out: see `value_info`.
    values, sparse, functions : list of bytes
        Other values, sparse initializers and functions, each a message.

    Raises
    ------
    ValueError
        It is no message, or one that is cut off.
    """
    cdef const unsigned char* data = &content[0] if content.shape[0] else NULL
    cdef Py_ssize_t at = 0, inner
    cdef Field outer, field
    cdef int64_t version = 0
    cdef bint graph = False
    cdef list imports = [], inputs = [], outputs = [], values = [], sparse = [], functions = []
    while at < content.shape[0]:
        next_field(data, &at, content.shape[0], &outer)
        if outer.tag == MODEL_VERSION:
            version = <int64_t> outer.value
        elif outer.tag == MODEL_OPERATOR_SET:
            imports.append(operator_set(data, outer.begin, outer.end))
        elif outer.tag == MODEL_FUNCTION:
            functions.append(piece(data, outer.begin, outer.end))
        if outer.tag != MODEL_GRAPH:
            continue
        graph = True
        inner = outer.begin
        while inner < outer.end:
            next_field(data, &inner, outer.end, &field)
            if field.tag == GRAPH_INPUT:
                inputs.append(typed(data, field.begin, field.end))
            elif field.tag == GRAPH_OUTPUT:
                outputs.append(typed(data, field.begin, field.end))
            elif field.tag == GRAPH_VALUE_INFO:
                # Few ask for them, but one that can't be read is refused at once.
                typed(data, field.begin, field.end)
                values.append(piece(data, field.begin, field.end))
            elif field.tag == GRAPH_SPARSE_INITIALIZER:
                sparse.append(piece(data, field.begin, field.end))
    return version, imports, graph, inputs, outputs, values, sparse, functions


cdef tuple operator_set(const unsigned char* data, Py_ssize_t at, Py_ssize_t end):
    cdef Field field
    cdef object domain = ""
    cdef int64_t version = 0
    while at < end:
        next_field(data, &at, end, &field)
        if field.tag == OPERATOR_SET_DOMAIN:
            domain = text(data, &field)
        elif field.tag == OPERATOR_SET_VERSION:
            version = <int64_t> field.value
    return domain, version


def value_info(const unsigned char[::1] content not None):
    """The name and the type of a value.

    Returns
    -------
    name : str
        Its name; bytes where it is no UTF-8.
    element_type : int
        The type of a tensor's elements; 0 if it is none.
    dims : tuple of (int or str) or None
        The sizes of a tensor's axes, numbers or names; None where not even the rank is given.
    other : bytes or None
        The message of a type that is not a tensor's.

    Raises
    ------
    ValueError
        It is no message, or one that is cut off.
    """
    cdef const unsigned char* data = &content[0] if content.shape[0] else NULL
    return typed(data, 0, content.shape[0])


cdef tuple typed(const unsigned char* data, Py_ssize_t at, Py_ssize_t end):
    cdef Field field, part, said
    cdef Py_ssize_t inner, innermost
    cdef object name = ""
    cdef bytes other = b""
    cdef int element = 0
    cdef list dims = None
    cdef bint is_tensor = False
    while at < end:
        next_field(data, &at, end, &field)
        if field.tag == VALUE_NAME:
            name = text(data, &field)
        if field.tag != VALUE_TYPE:
            continue
        # Of a message that is given in parts, the parts count together.
        other += piece(data, field.begin, field.end)
        inner = field.begin
        while inner < field.end:
            next_field(data, &inner, field.end, &part)
            if part.tag in (
                TYPE_SEQUENCE, TYPE_MAP, TYPE_OPAQUE, TYPE_SPARSE_TENSOR, TYPE_OPTIONAL
            ):
                # Of several kinds of types the last one counts.
                is_tensor, element, dims = False, 0, None
            if part.tag != TYPE_TENSOR:
                continue
            is_tensor = True
            innermost = part.begin
            while innermost < part.end:
                next_field(data, &innermost, part.end, &said)
                if said.tag == TENSOR_TYPE_ELEMENT:
                    element = <int> said.value
                elif said.tag == TENSOR_TYPE_SHAPE:
                    dims = [] if dims is None else dims
                    add_sizes(data, said.begin, said.end, dims)
    return name, element, None if dims is None else tuple(dims), None if is_tensor else other


cdef int add_sizes(const unsigned char* data, Py_ssize_t at, Py_ssize_t end, list dims) except -1:
    """Add the sizes of a shape to `dims`."""
    cdef Field field, part
    cdef Py_ssize_t inner
    cdef object size
    while at < end:
        next_field(data, &at, end, &field)
        if field.tag != SHAPE_DIM:
            continue
        size = ""
        inner = field.begin
        while inner < field.end:
            next_field(data, &inner, field.end, &part)
            if part.tag == DIM_VALUE:
                size = <int64_t> part.value
            elif part.tag == DIM_PARAM:
                size = text(data, &part)
        dims.append(size)
    return 0


def nodes(const unsigned char[::1] content not None, dict kinds, make not None, opsets):
    """The nodes of a model's graph.

    Parameters
    ----------
    content : bytes-like
        The model.
    kinds : dict
        The kinds of nodes that are known, by what equal nodes have in common. That is a tuple:
        operator and attributes in the wire format, how many inputs and outputs there are, and
        which of them are left out: ``k`` for input `k`, ``~k`` for output `k`.
    make : callable
        Makes a kind, of that and the name of the first node that is of it.
    opsets : mapping of str to int
        The operator sets by which the nodes are to be read.

    Returns
    -------
    list of Node

    Raises
    ------
    ValueError
        It is no message, or one that is cut off.
    """
    if content.shape[0] == 0:
        return []
    cdef const unsigned char* data = &content[0]
    cdef Py_ssize_t at = 0, end = content.shape[0], inner
    cdef Field outer, field
    cdef list made = []
    cdef dict names = {}
    while at < end:
        next_field(data, &at, end, &outer)
        if outer.tag != MODEL_GRAPH:
            continue
        inner = outer.begin
        while inner < outer.end:
            next_field(data, &inner, outer.end, &field)
            if field.tag == GRAPH_NODE:
                made.append(
                    node(data, field.begin, field.end, names, kinds, make, opsets, len(made))
                )
    return made


def properties(const unsigned char[::1] content not None, str key not None):
    """What a property of the nodes says, of those nodes of a model's graph that have it.

    Parameters
    ----------
    content : bytes-like
        The model.
    key : str
        The property, one of a node's ``metadata_props``.

    Returns
    -------
    dict of str to str
        By each value that such a node makes.

    Raises
    ------
    ValueError
        It is no message, or one that is cut off.
    """
    if content.shape[0] == 0:
        return {}
    cdef const unsigned char* data = &content[0]
    cdef Py_ssize_t at = 0, end = content.shape[0], inner, deeper, within
    cdef Field outer, field, part, entry
    cdef dict made = {}
    cdef list outputs
    cdef object name, value, found
    while at < end:
        next_field(data, &at, end, &outer)
        if outer.tag != MODEL_GRAPH:
            continue
        inner = outer.begin
        while inner < outer.end:
            next_field(data, &inner, outer.end, &field)
            if field.tag != GRAPH_NODE:
                continue
            outputs, found = [], None
            deeper = field.begin
            while deeper < field.end:
                next_field(data, &deeper, field.end, &part)
                if part.tag == NODE_OUTPUT:
                    outputs.append(text(data, &part))
                elif part.tag == NODE_PROPERTY:
                    name = value = ""
                    within = part.begin
                    while within < part.end:
                        next_field(data, &within, part.end, &entry)
                        if entry.tag == PROPERTY_KEY:
                            name = text(data, &entry)
                        elif entry.tag == PROPERTY_VALUE:
                            value = text(data, &entry)
                    if name == key and isinstance(value, str):
                        found = value
            if found is not None:
                for name in outputs:
                    made[name] = found
    return made


def producers(list nodes not None, set given not None):
    """Which node makes which value.

    Parameters
    ----------
    nodes : list of Node
        The nodes.
    given : set of str
        The values that no node makes.

    Returns
    -------
    producer : dict of str to Node
        The node that makes a value.
    in_order : bool
        Whether every node comes behind those that make its inputs.
    twice : (Node, str) or None
        The first node that makes a value that is there already, or whose name is none.
    """
    cdef dict producer = {}
    cdef bint in_order = True
    cdef Node node
    cdef object name
    for node in nodes:
        for name in node.inputs:
            if name not in producer and name not in given and name:
                in_order = False
        for name in node.captures:
            if name not in producer and name not in given and name:
                in_order = False
        for name in node.outputs:
            if not name:
                continue
            if not isinstance(name, str) or name in producer or name in given:
                return producer, in_order, (node, name)
            producer[name] = node
    return producer, in_order, None


def operator(const unsigned char[::1] content not None):
    """What a node in the wire format is.

    Returns
    -------
    op_type, domain : str
        The operator; bytes where it is no UTF-8.
    graphs, external : bool
        Whether it has an attribute that is a graph, and one that is a tensor whose contents lie in
        another file.

    Raises
    ------
    ValueError
        It is no message, or one that is cut off.
    """
    cdef const unsigned char* data = &content[0] if content.shape[0] else NULL
    cdef Py_ssize_t at = 0, inner, innermost
    cdef Field field, attribute, part
    cdef bint graphs = False, external = False
    cdef object op_type = "", domain = ""
    while at < content.shape[0]:
        next_field(data, &at, content.shape[0], &field)
        if field.tag == NODE_OP_TYPE:
            op_type = text(data, &field)
        elif field.tag == NODE_DOMAIN:
            domain = text(data, &field)
        elif field.tag == NODE_ATTRIBUTE:
            inner = field.begin
            while inner < field.end:
                next_field(data, &inner, field.end, &attribute)
                if attribute.tag == ATTRIBUTE_GRAPH or attribute.tag == ATTRIBUTE_GRAPHS:
                    graphs = True
                elif attribute.tag == ATTRIBUTE_TENSOR:
                    innermost = attribute.begin
                    while innermost < attribute.end:
                        next_field(data, &innermost, attribute.end, &part)
                        if part.tag == TENSOR_LOCATION:
                            external = part.value == 1
    return op_type, domain, graphs, external


def attributes(const unsigned char[::1] content not None):
    """The attributes of a node in the wire format.

    Returns
    -------
    values : dict of str to object
        An int, a float, a str, or a list of int, of float or of bytes by name; of a tensor what
        `split` tells of one.
    others : dict of str to bytes
        The messages of attributes of other types.
    types : dict of str to int
        The types of all.

    Raises
    ------
    ValueError
        It is no message, or one that is cut off.
    """
    cdef const unsigned char* data = &content[0] if content.shape[0] else NULL
    cdef Py_ssize_t at = 0, inner, innermost
    cdef Field field, part, string, message
    cdef dict values = {}, others = {}, types = {}
    cdef list ints, floats, strings
    cdef object name
    cdef int64_t number, kind
    cdef float real, each
    while at < content.shape[0]:
        next_field(data, &at, content.shape[0], &field)
        if field.tag != NODE_ATTRIBUTE:
            continue
        name, ints, floats, strings, number, kind, real = "", [], [], [], 0, 0, 0
        string.begin = string.end = message.begin = message.end = 0
        inner = field.begin
        while inner < field.end:
            next_field(data, &inner, field.end, &part)
            if part.tag == ATTRIBUTE_NAME:
                name = text(data, &part)
            elif part.tag == ATTRIBUTE_TYPE:
                # Types that there are not are left out, as protobuf leaves them out.
                if 0 <= <int32_t> part.value <= IS_TYPES:
                    kind = <int32_t> part.value
            elif part.tag == ATTRIBUTE_INT:
                number = <int64_t> part.value
            elif part.tag == ATTRIBUTE_FLOAT:
                memcpy(&real, data + part.begin, 4)
            elif part.tag == ATTRIBUTE_STRING:
                string = part
            elif part.tag == ATTRIBUTE_TENSOR:
                message = part
            elif part.tag == ATTRIBUTE_STRINGS:
                strings.append(piece(data, part.begin, part.end))
            elif part.tag == ATTRIBUTE_FLOATS or part.tag == ATTRIBUTE_PACKED_FLOATS:
                if (part.end - part.begin) % 4:
                    raise ValueError("a number is cut off")
                for innermost in range(part.begin, part.end, 4):
                    memcpy(&each, data + innermost, 4)
                    floats.append(<double> each)
            elif part.tag == ATTRIBUTE_INTS:
                ints.append(<int64_t> part.value)
            elif part.tag == ATTRIBUTE_PACKED_INTS:
                innermost = part.begin
                while innermost < part.end:
                    ints.append(<int64_t> varint(data, &innermost, part.end))
        types[name] = kind
        others.pop(name, None)
        if kind == IS_INTS:
            values[name] = ints
        elif kind == IS_INT:
            values[name] = number
        elif kind == IS_FLOAT:
            values[name] = <double> real
        elif kind == IS_STRING:
            values[name] = piece(data, string.begin, string.end).decode("utf-8", "replace")
        elif kind == IS_TENSOR:
            values[name] = tensor(data, message.begin, message.end)
        elif kind == IS_FLOATS:
            values[name] = floats
        elif kind == IS_STRINGS:
            values[name] = strings
        else:
            values.pop(name, None)
            others[name] = piece(data, field.begin, field.end)
    return values, others, types


# By element type: the bytes of an element, and the number of the field in which elements stand one
# by one.
STORED = {
    element_types.FLOAT: (4, TENSOR_FLOATS),
    element_types.DOUBLE: (8, TENSOR_DOUBLES),
    element_types.INT64: (8, TENSOR_INT64S),
    element_types.INT32: (4, TENSOR_INT32S),
    element_types.INT16: (2, TENSOR_INT32S),
    element_types.UINT16: (2, TENSOR_INT32S),
    element_types.FLOAT16: (2, TENSOR_INT32S),
    element_types.INT8: (1, TENSOR_INT32S),
    element_types.UINT8: (1, TENSOR_INT32S),
}


def elements(
    const unsigned char[::1] content not None, Py_ssize_t begin, Py_ssize_t end, int kind
):
    """The elements of a tensor that stand in its message one by one, as raw data would have them.

    Parameters
    ----------
    content : bytes-like
        What the message stands in.
    begin, end : int
        Where it begins and ends.
    kind : int
        The element type.

    Returns
    -------
    bytearray or None
        None where it takes protobuf's own library to tell: of other element types, where there is
        more than elements, as raw data, and of what is malformed.

    Raises
    ------
    ValueError
        It does not lie in `content`.
    """
    cdef const unsigned char* data
    cdef bytearray made
    cdef unsigned char[::1] out
    cdef Field field
    cdef Py_ssize_t at, k, filled = 0
    cdef uint64_t value
    cdef int width, number, one
    if not 0 <= begin <= end <= content.shape[0]:
        raise ValueError("there is no such tensor")
    if kind not in STORED or begin == end:
        return None
    width, number = STORED[kind]
    one = VARINT
    if number == TENSOR_FLOATS:
        one = FIXED32
    elif number == TENSOR_DOUBLES:
        one = FIXED64
    data, at = &content[0], begin
    # A number takes a byte or more.
    made = bytearray((end - begin) * (width if one == VARINT else 1))
    out = made
    try:
        while at < end:
            next_field(data, &at, end, &field)
            if field.tag in (
                TENSOR_DIM, TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_LOCATION
            ):
                continue
            if field.tag != <uint64_t> (number << 3 | one) and (
                field.tag != <uint64_t> (number << 3 | BYTES)
            ):
                return None
            if one != VARINT:
                if (field.end - field.begin) % width:
                    return None
                for k in range(field.begin, field.end):
                    out[filled] = data[k]
                    filled += 1
                continue
            while field.begin < field.end:
                value = varint(data, &field.begin, field.end)
                for k in range(width):
                    out[filled] = value >> (8 * k) & 0xFF
                    filled += 1
    except ValueError:
        return None
    return made[:filled]


def any_zero(
    const unsigned char[::1] content not None,
    Py_ssize_t begin,
    Py_ssize_t end,
    int width,
    bint is_float,
):
    """Whether some number among raw data is 0.

    Parameters
    ----------
    content : bytes-like
        What they stand in, the low byte of each first.
    begin, end : int
        Where they begin and end.
    width : int
        The bytes of each: 1, 2, 4 or 8.
    is_float : bool
        Whether they have a sign of their own: -0 is 0 too.

    Raises
    ------
    ValueError
        They don't lie in `content`.
    """
    cdef uint64_t lows, highs, digits
    if not 0 <= begin <= end <= content.shape[0] or width not in (1, 2, 4, 8):
        raise ValueError("there are no such numbers")
    if (end - begin) % width:
        raise ValueError("a number is cut off")
    if begin == end:
        return False
    # The lowest and the highest bit of each of the numbers that eight bytes hold.
    lows = (<uint64_t> 0xFFFFFFFFFFFFFFFF) // ((<uint64_t> 0xFFFFFFFFFFFFFFFF) >> (64 - 8 * width))
    highs = lows << (8 * width - 1)
    digits = ~highs if is_float else <uint64_t> 0xFFFFFFFFFFFFFFFF
    return holds_zero(&content[begin], end - begin, lows, highs, digits)


cdef bint holds_zero(
    const unsigned char* data, Py_ssize_t left, uint64_t lows, uint64_t highs, uint64_t digits
) noexcept nogil:
    """Whether some number is 0 but for bits that are none of `digits`, eight bytes at a time.

    Taking 1 from each number borrows from its highest bit, where that was not set, only if a number
    is 0, or one below it was (Mycroft's test: Warren, Hacker's Delight, 6-1).
    """
    cdef uint64_t eight
    while left > 0:
        # What is behind the last one is no 0.
        eight = <uint64_t> 0xFFFFFFFFFFFFFFFF
        if left >= 8:
            memcpy(&eight, data, 8)
        else:
            memcpy(&eight, data, left)
        eight &= digits
        if (eight - lows) & ~eight & highs:
            return True
        data += 8
        left -= 8
    return False

// How libfallow is linked as a shared library: the flags in Package.swift and libfallow.map. They stand here and not
// with libfallow, because they would otherwise apply to its tests' program, too.

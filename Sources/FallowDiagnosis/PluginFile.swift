/// What a SPANK plugin says of itself, read out of its file: nothing of it is loaded or run.
public enum PluginFile {
    /// The value of `plugin_version`, the release of Slurm whose `spank.h` it was compiled with, as 0xYYMMPP.
    ///
    /// - Parameter file: an ELF file of this kind of machine: 64 bits, little-endian.
    /// - Returns: nil when it is no such file, or has no such symbol. Offsets that lead out of the file count as that.
    public static func version(in file: [UInt8]) -> UInt32? {
        guard file.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]) else { return nil }
        let reader = Reader(file: file)
        guard let sections = reader.table(at: 0x28, entryBytes: 0x3a, count: 0x3c),
            let segments = reader.table(at: 0x20, entryBytes: 0x36, count: 0x38)
        else { return nil }
        // A section of dynamic symbols, and the section of their names that it links to.
        for section in sections where reader.number(section + 4, bytes: 4) == 11 {
            guard let link = reader.number(section + 0x28, bytes: 4), link < sections.count,
                let names = reader.number(sections[link] + 0x18, bytes: 8),
                let begin = reader.number(section + 0x18, bytes: 8), let size = reader.number(section + 0x20, bytes: 8)
            else { continue }
            for symbol in stride(from: begin, to: begin + min(size, file.count), by: 24) {
                guard let name = reader.number(symbol, bytes: 4), let address = reader.number(symbol + 8, bytes: 8),
                    reader.has("plugin_version", at: names + name)
                else { continue }
                return segments.lazy.compactMap { reader.offset(of: address, in: $0) }.first
                    .flatMap { reader.number($0, bytes: 4) }.map { UInt32($0) }
            }
        }
        return nil
    }

    /// Numbers and names at offsets, which all may be wrong.
    private struct Reader {
        let file: [UInt8]

        /// - Returns: nil beyond the file's end, and for numbers that no offset in it can have.
        func number(_ offset: Int, bytes: Int) -> Int? {
            guard offset >= 0, offset <= file.count - bytes else { return nil }
            let value = file[offset..<offset + bytes].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return value < 1 << 40 ? Int(value) : nil
        }

        /// Where the entries of a table are that the header describes at these places.
        func table(at offset: Int, entryBytes: Int, count: Int) -> [Int]? {
            guard let begin = number(offset, bytes: 8), let size = number(entryBytes, bytes: 2),
                let count = number(count, bytes: 2)
            else { return nil }
            return (0..<count).map { begin + $0 * size }
        }

        func has(_ name: String, at offset: Int) -> Bool {
            let wanted = Array(name.utf8) + [0]
            return offset >= 0 && offset <= file.count - wanted.count
                && file[offset..<offset + wanted.count].elementsEqual(wanted)
        }

        /// Where an address lies in the file, by a segment that is loaded.
        func offset(of address: Int, in segment: Int) -> Int? {
            guard number(segment, bytes: 4) == 1, let offset = number(segment + 8, bytes: 8),
                let begin = number(segment + 16, bytes: 8), let size = number(segment + 32, bytes: 8),
                address >= begin, address - begin < size
            else { return nil }
            return offset + address - begin
        }
    }
}

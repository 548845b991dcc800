import FallowCommand

@main
enum Main {
    static func main() async { await FallowCommand.main() }
}

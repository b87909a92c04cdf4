import { createRequire } from 'node:module'
import { Command, CommanderError, Option } from 'commander'
import { RootcatchError } from '../errors.ts'
import { nearest } from '../nearest.ts'
import { describeThrown, stackOf } from '../thrown.ts'
import { discardDead, listDead, replayDead, showDead, type DeadOptions } from './dead.ts'
import { safeLine } from './dead-text.ts'
import { outputClosed, paint, remark } from './output.ts'
import { runFile, type RunFileOptions } from './run.ts'
import { showStats, type StatsOptions } from './stats.ts'
import type { TourOptions } from './tour.ts'
import { UsageError } from './usage-error.ts'

const WRONG = 2

/** Does what the arguments say, and ends the process with the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  const closed = outputClosed()
  let code = 0
  const program = programOf(closed, (answer) => (code = answer))
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    code = tellError(error, isVerbose(args))
  }
  // What a file has opened beside its system must not keep the process when that is down.
  process.stdout.write('', () => process.exit(code))
}

type Exit = (code: number) => void

function programOf(closed: AbortSignal, exit: Exit): Command {
  const { version } = createRequire(import.meta.url)('rootcatch/package.json') as { readonly version: string }
  const program = new Command('rootcatch')
    .description('Runs tasks under supervisors, and looks after the jobs they leave.')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'print what a command does, its options and exit codes')
    .option('--verbose', 'show stack traces; ROOTCATCH_DEBUG=1 does the same')
    .configureOutput({ outputError: () => {} }) // told by `tellError`, once
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      text(`
        Examples:
          rootcatch tour
          rootcatch run app.ts --broker ./app.db
          rootcatch stats --broker ./app.db --watch
          rootcatch dead list --broker ./app.db --since 1h

        Exit codes: 0 done, 1 it failed or nothing matched, 2 used wrongly.
        Each command has its own: rootcatch run --help`),
    )
  addRun(program, exit)
  addDead(program, exit)
  addStats(program, exit, closed)
  addTour(program, exit)
  refuseUnknown(program)
  return program
}

function addRun(program: Command, exit: Exit): void {
  program
    .command('run')
    .argument('<file>', 'JavaScript, or TypeScript that needs no compiling')
    .summary('start what a file exports')
    .description(
      text(`
        Starts the definition that a file exports: its default export, the only one, or
        the one that holds the others. What the file exports as "options" is given to
        start(): { broker, plugins, catch, log }.`).trimStart(),
    )
    .option('--export <name>', 'the export to start')
    .option('--broker <file>', 'keep jobs in this SQLite file; goes before the broker of "options"')
    .option('--deadline <duration>', 'how long what runs may take to end after a signal', '30s')
    .option('--inspect', 'serve the inspector on this machine, and print the link to it')
    .addHelpText(
      'after',
      text(`
        The first SIGTERM or SIGINT lets what runs end, within the deadline; a second
        one cuts it off. Jobs that are cut off go back to a durable broker with no
        attempt spent. Lines about what happens go to stdout; in a terminal, a line on
        stderr shows what goes on.

        Examples:
          rootcatch run app.ts
          rootcatch run app.ts --inspect
          rootcatch run app.ts --export shop --broker ./shop.db --deadline 2m

        Exit codes:
          0          stopped, by a signal or by itself
          1          did not load or start, or a failure stopped it
          2          used wrongly: no such file, no definition in it, an unknown option
          130, 143   cut off after SIGINT, SIGTERM: a second signal came, or the
                     deadline was over`),
    )
    .action(async (file: string, _: unknown, command: Command) => {
      exit(await runFile(file, optionsOf<RunFileOptions>(command)))
    })
}

function addDead(program: Command, exit: Exit): void {
  const dead = program
    .command('dead')
    .summary('list, show, replay or discard jobs that failed for good')
    .description('Dead letters: jobs that failed for good and are kept until they are replayed or discarded.')
    .addHelpText(
      'after',
      text(`
        No system is started, and other processes may work on the same file. Secrets are
        not shown: passwords in URLs, tokens, authorization headers, values of keys like
        "password".

        Examples:
          rootcatch dead list --broker ./app.db --task resize --since 1h
          rootcatch dead show 812 --broker ./app.db
          rootcatch dead replay 812 813 --broker ./app.db
          ROOTCATCH_BROKER=./app.db rootcatch dead replay --all --kind timeout --yes

        Exit codes: 0 done, 1 nothing matched or an id is not there, 2 used wrongly or
        the store cannot be used.`),
    )
  const add = (usage: string, summary: string): Command =>
    dead
      .command(usage)
      .description(summary)
      .addOption(brokerOption())
      .option('--json', 'print JSON')
      .addHelpText('after', '\nExit codes: 0 done, 1 nothing matched or an id is not there, 2 used wrongly.')

  filters(add('list', 'Lists dead letters, the newest first.')).action(async (_: unknown, command: Command) =>
    exit(await listDead(optionsOf<DeadOptions>(command))),
  )
  add('show', 'Shows all that is kept of a dead letter: error, decisions, attempts, input.')
    .argument('<id...>')
    .action(async (ids: readonly string[], _: unknown, command: Command) =>
      exit(await showDead(ids, optionsOf<DeadOptions>(command))),
    )
  const changes = [
    ['replay', 'Queues jobs again under their ids, from attempt 1.', replayDead],
    ['discard', 'Forgets jobs for good. Asks before it does.', discardDead],
  ] as const
  for (const [name, summary, work] of changes) {
    filters(add(name, summary).argument('[id...]'))
      .option('--all', 'all that match the filters; asks before it does')
      .option('--yes', 'do not ask')
      .action(async (ids: readonly string[], _: unknown, command: Command) =>
        exit(await work(ids, optionsOf<DeadOptions>(command))),
      )
  }
  refuseUnknown(dead)
}

function addStats(program: Command, exit: Exit, closed: AbortSignal): void {
  program
    .command('stats')
    .summary('show how many jobs wait, run and died')
    .description('Shows how many jobs of each task wait, are delayed, are leased (somebody works on them) and died.')
    .addOption(brokerOption())
    .option('--json', 'print JSON; a line each time with --watch')
    .option('--watch', 'look again every second, until Ctrl-C')
    .addHelpText(
      'after',
      text(`
        OLDEST is how long the oldest job that could be taken has been waiting.

        Examples:
          rootcatch stats --broker ./app.db
          rootcatch stats --broker ./app.db --json | jq 'map(.dead) | add'

        Exit codes: 0 done, 2 used wrongly or the store cannot be used.`),
    )
    .action(async (_: unknown, command: Command) => exit(await showStats(optionsOf<StatsOptions>(command), closed)))
}

function addTour(program: Command, exit: Exit): void {
  program
    .command('tour')
    .summary('watch a tree fail on purpose')
    .description(
      text(`
        Plays tasks, actors, a bot and a spider under supervisors, on a Telegram and a
        website of this machine. All of it fails on purpose, and one sees who decides
        what. Nothing is needed beside Node, and nothing is left behind.`).trimStart(),
    )
    .option('--seconds <count>', 'how long; 60 in a terminal, 20 elsewhere')
    .addHelpText(
      'after',
      text(`
        In a terminal the tree moves; elsewhere there is a line for each thing that
        happens. Ctrl-C ends it. Both ends print a summary that accounts for each job.

        Exit codes: 0 over, 2 used wrongly.`),
    )
    .action(async (_: unknown, command: Command) => {
      const { takeTour } = await import('./tour.ts') // whoever takes no tour loads no bot and no spider
      exit(await takeTour(optionsOf<TourOptions>(command)))
    })
}

function brokerOption(): Option {
  return new Option('--broker <file>', 'the file that sqlite() was given').env('ROOTCATCH_BROKER')
}

function filters(command: Command): Command {
  return command
    .option('--task <path>', 'of this task: app/media/resize, or resize if there is only one')
    .option('--kind <kind>', 'of this kind: thrown, timeout, plugin, fallback, input, result, lost')
    .option('--since <when>', 'that died since then: 90s, 1h, 7d ago, or a date')
    .option('--limit <count>', 'not more than so many')
}

/** Those of the program are among them. */
function optionsOf<Options>(command: Command): Options {
  const options = command.optsWithGlobals<{ verbose?: true }>()
  return { ...options, ...(isVerbose([]) && { verbose: true }) } as Options
}

function refuseUnknown(command: Command): void {
  command.on('command:*', ([name = '']: readonly string[]) => {
    const known = command.commands.map((one) => one.name())
    const meant = nearest(name, known)
    const isFile = command.parent === null && /[./\\]/.test(name)
    const advice = isFile ? `Did you mean: rootcatch run ${name}` : `It has: ${known.join(', ')}.`
    const full = command.parent === null ? 'rootcatch' : `rootcatch ${command.name()}`
    throw new UsageError(
      `${full} has no command "${name}". ${meant === undefined ? advice : `Did you mean "${meant}"?`}`,
    )
  })
}

/** Says what went wrong in one line, and gives the exit code. */
function tellError(error: unknown, withStack: boolean): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0 // help or version were asked for
    if (error.code !== 'commander.help') sayError(error.message.replace(/^error: /, '').replaceAll('\n', ' '))
    return WRONG
  }
  sayError(describeThrown(error))
  if (withStack) remark(stackOf((error as { cause?: unknown } | null)?.cause ?? error) ?? '')
  return error instanceof UsageError || (error instanceof RootcatchError && error.name === 'BrokerError') ? WRONG : 1
}

function sayError(message: string): void {
  remark(`${paint('red', 'error:', process.stderr)} ${safeLine(message, 2_000)}`)
}

function isVerbose(args: readonly string[]): boolean {
  return args.includes('--verbose') || !['', '0', undefined].includes(process.env['ROOTCATCH_DEBUG'])
}

/** A paragraph without the indentation of the source. */
function text(paragraph: string): string {
  return paragraph.replaceAll(/\n {8}/g, '\n').trimEnd()
}

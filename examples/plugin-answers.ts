/** A job in trouble asks its plugins; what one answers becomes the job's result. */
import { plugin, resume, start, supervisor, task } from 'rootcatch'

const rescue = plugin('rescue', {
  pluginError: ({ task: asking, error }) => {
    console.log(`${asking.path} asks: ${error.message}`)
    return error.details['code'] === 'quota' ? 123 : undefined
  },
})

const measure = task('measure', async (sensor: string, ctx) => {
  if (sensor === 'broken') ctx.pluginError({ message: 'no signal', code: 'hardware' })
  return ctx.pluginError({ message: 'no quota left', code: 'quota' })
})

const system = await start(supervisor('lab', { plugins: [rescue] }, [measure]), {
  catch: (failure) => {
    console.log(failure.message.replace(/ in .*?:/, ':'))
    return resume
  },
})
console.log(await system.run(measure, 'roof'))
console.log((await system.run(measure, 'broken').settled()).status)
await system.stop()

// prints:
// lab/measure asks: no quota left
// 123
// lab/measure asks: no signal
// lab/measure/job:2 failed after 1 attempt: no signal
// failed

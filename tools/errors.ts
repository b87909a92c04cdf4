// Writes docs/errors.md: every error class with its code, its reasons and what to do. With --check it only compares.
import { isErrorPageCurrent, writeErrorPage } from './error-page.ts'

if (!process.argv.includes('--check')) {
  writeErrorPage()
} else if (!isErrorPageCurrent()) {
  console.error('docs/errors.md does not show the errors as they are. Run `npm run errors` and commit what it changes.')
  process.exitCode = 1
}

import { inspector, type InspectorOptions } from 'rootcatch/inspect'
import { describe, expect, test } from 'vitest'
import { isSecretKey } from '../../src/secrets.ts'

describe('inspector()', () => {
  test.each([
    [{ prot: 1 }, 'inspector() got an unknown option "prot". Did you mean "port"?'],
    [{ port: -1 }, 'inspector() got port -1 (number). Use a whole number from 0 to 65535.'],
    [{ host: '0.0.0.0' }, 'inspector() got host "0.0.0.0" (string). Others could reach it there'],
    [{ allowedHosts: 'x' }, `inspector() got allowedHosts "x" (string). Write them as a list: ['build.example'].`],
    [{ control: 'yes' }, 'inspector() got control "yes" (string). Use true or false.'],
    [{ payloads: 'all' }, `inspector() got payloads "all" (string). Use 'redacted', 'none' or 'full'.`],
    [{ redact: /x/ }, 'inspector() got redact'],
    [{ only: 'app' }, 'inspector() got only "app" (string). Pass a function.'],
    [{ stately: 'stately' }, 'inspector() got stately "stately" (string). Write the URL of a viewer'],
    [{ stately: 'javascript:1' }, 'inspector() got stately'],
    [{ accept: 'yes' }, 'inspector() got accept "yes" (string). Use true, false or { token, origins }.'],
    [{ accept: { origin: [] } }, 'accept of inspector() got an unknown option "origin". Did you mean "origins"?'],
    [{ accept: { token: 'short' } }, 'inspector() got accept.token'],
    [{ announce: true }, 'inspector() got announce true (boolean). Pass a function.'],
  ])('refuses %j, and says what to do', (options, message) => {
    expect(() => inspector(options as unknown as InspectorOptions)).toThrow(message)
  })

  test('shows no token that it refuses', () => {
    expect(() => inspector({ accept: { token: 'hunter2' } })).toThrow(/^(?!.*hunter2)/)
  })
})

describe('a key', () => {
  test.each([
    'password',
    'userPassword',
    'DB_PASSWORD',
    'api-key',
    'apiKey',
    'X-Api-Key',
    'private_key',
    'Authorization',
    'set-cookie',
    'accessToken',
    'client_secret',
    'bearer',
    'credentials',
    'passphrase',
    'token2',
  ])('%s tells a secret', (key) => expect(isSecretKey(key)).toBe(true))
  test.each([
    'tokenCount',
    'author',
    'authority',
    'tokens',
    'maxTokens',
    'passwordLength',
    'keyboard',
    'secretary',
    'cookieCount',
    'name',
  ])('%s does not', (key) => expect(isSecretKey(key)).toBe(false))
})

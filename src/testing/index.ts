import '../node-version.ts'

export { manualClock, type ManualClock } from './manual-clock.ts'
export { settle } from './settle.ts'
export { fakeTelegram, type FakeTelegram, type FakeTelegramOptions } from './telegram.ts'
export type { FakeUpdate } from './telegram-backlog.ts'
export type { FakeFile } from './telegram-body.ts'
export type { FakeCall, FakeReply } from './telegram-replies.ts'
export type { FakeChat, FakeOrigin, FakeSend, FakeUser } from './telegram-updates.ts'

import type { TopicConfig } from '../metadata/topic-configs.ts'
import { LOG_SETTINGS_DEFAULT, type LogSettings } from '../storage/log-settings.ts'

/** The settings of a topic as its logs take them. */
export function logSettingsOf(config: TopicConfig): LogSettings {
  const {
    minInsyncReplicas: _isr,
    maxMessageBytes: _bytes,
    uncleanLeaderElection: _election,
    ...ofTheLog
  } = config
  return { ...LOG_SETTINGS_DEFAULT, ...ofTheLog }
}

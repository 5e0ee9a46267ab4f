"""Where events are read: Home Assistant's WebSocket API and MQTT."""

from activity_ingestor.sources.home_assistant import HomeAssistantRules, HomeAssistantSource
from activity_ingestor.sources.mqtt import MqttSource
from activity_ingestor.sources.mqtt_link import Broker, MqttLink

__all__ = ["Broker", "HomeAssistantRules", "HomeAssistantSource", "MqttLink", "MqttSource"]

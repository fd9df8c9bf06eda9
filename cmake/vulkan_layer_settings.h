// vulkan_layer_settings.h — what llama.cpp's Vulkan back end names of VK_EXT_layer_settings, for
// Vulkan headers older than 1.3.272 (Debian 12 has 1.3.239). It only hands the structure on, and
// loaders skip structures they do not know. Included before each of its sources.
#pragma once

#include <cstdint>
#include <vector>

#include <vulkan/vulkan_core.h>

#if VK_HEADER_VERSION < 272
namespace vk {

enum class LayerSettingTypeEXT : std::uint32_t { eBool32 = 0 };

/// As VkLayerSettingEXT.
struct LayerSettingEXT {
  const char* pLayerName;
  const char* pSettingName;
  LayerSettingTypeEXT type;
  std::uint32_t valueCount;
  const void* pValues;
};

/// As VkLayerSettingsCreateInfoEXT.
struct LayerSettingsCreateInfoEXT {
  explicit LayerSettingsCreateInfoEXT(const std::vector<LayerSettingEXT>& settings)
      : settingCount(static_cast<std::uint32_t>(settings.size())), pSettings(settings.data()) {}
  std::uint32_t sType = 1000496000;  // VK_STRUCTURE_TYPE_LAYER_SETTINGS_CREATE_INFO_EXT
  const void* pNext = nullptr;
  std::uint32_t settingCount;
  const LayerSettingEXT* pSettings;
};

}  // namespace vk
#endif
